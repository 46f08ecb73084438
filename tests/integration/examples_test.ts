/** Each example does on a simulated node what its README says. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { cli } from "../support/cli.ts";
import { readObjects } from "../support/deployment.ts";

const EXAMPLES = new URL("../../examples", import.meta.url).pathname;
const CLASSES = join(EXAMPLES, "device-classes.yaml");
const MANIFESTS = join(EXAMPLES, "../deploy/manifests/network-dra.yaml");

interface Shown {
  readonly networkData: Readonly<Record<string, unknown>>;
}

const folders = (await Array.fromAsync(Deno.readDir(EXAMPLES)))
  .filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();

Deno.test("every example has a README with what it needs, how it runs and what comes out", async () => {
  assert.ok(folders.length > 1);
  for (const name of folders) {
    const readme = await Deno.readTextFile(join(EXAMPLES, name, "README.md"));
    for (const part of ["Requirements", "Run it", "What to expect", "Clean up"]) {
      assert.match(readme, new RegExp(`^## ${part}$`, "m"), name);
    }
  }
});

Deno.test("the examples' DeviceClasses are those of the chart", async () => {
  const specs = async (path: string) =>
    readObjects(await Deno.readTextFile(path)).filter(({ kind }) => kind === "DeviceClass")
      .map((found) => [found.metadata.name, (found as unknown as { spec: unknown }).spec]);
  assert.deepEqual(await specs(CLASSES), await specs(MANIFESTS));
});

for (const name of folders) {
  Deno.test(`example ${name}`, async () => {
    const readme = await Deno.readTextFile(join(EXAMPLES, name, "README.md"));
    const [, block = ""] = readme.split("## What to expect")[1]!.match(/```yaml\n(.*?)```/s) ?? [];
    const { devices: expected } = parse(block) as { devices: Shown[] };
    const file = join(EXAMPLES, name, `${name}.yaml`);
    const ownClasses = name === "demo-a" ? [] : [CLASSES];
    const { code, stdout, stderr } = await cli(["try", ...ownClasses, file, "-o", "json"]);
    assert.equal(code, 0, stderr);
    const { devices } = (JSON.parse(stdout) as { status: { devices: Shown[] } }).status;
    assert.equal(devices.length, expected.length);
    expected.forEach(({ networkData }, i) => {
      const found = devices[i]!;
      for (const [key, value] of Object.entries(networkData)) {
        assert.deepEqual(found.networkData[key], value, `${name}: devices[${i}] ${key}`);
      }
    });
    assert.match(stderr, /nothing is left/);
  });
}
