/** Each example does on a simulated node what its README says. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { cli } from "../support/cli.ts";
import { readObjects } from "../support/deployment.ts";
import { EXAMPLES, EXAMPLES_FOLDER, readExample } from "../support/examples.ts";

const CLASSES = join(EXAMPLES_FOLDER, "device-classes.yaml");
const MANIFESTS = join(EXAMPLES_FOLDER, "../deploy/manifests/network-dra.yaml");

interface Shown {
  readonly networkData: Readonly<Record<string, unknown>>;
}

Deno.test("every example has a README with what it needs, how it runs and what comes out", async () => {
  assert.ok(EXAMPLES.length > 1);
  for (const name of EXAMPLES) {
    const { readme, expected } = await readExample(name);
    for (const part of ["Requirements", "Run it", "What to expect", "Clean up"]) {
      assert.match(readme, new RegExp(`^## ${part}$`, "m"), name);
    }
    assert.ok(expected.length > 0, name);
  }
});

Deno.test("the examples' DeviceClasses are those of the chart", async () => {
  const specs = async (path: string) =>
    readObjects(await Deno.readTextFile(path)).filter(({ kind }) => kind === "DeviceClass")
      .map((found) => [found.metadata.name, (found as unknown as { spec: unknown }).spec]);
  assert.deepEqual(await specs(CLASSES), await specs(MANIFESTS));
});

for (const name of EXAMPLES) {
  const { file, expected, simulated } = await readExample(name);
  // The others are run by the end-to-end tests only.
  if (!simulated) continue;
  Deno.test(`example ${name}`, async () => {
    const ownClasses = name === "demo-a" ? [] : [CLASSES];
    const { code, stdout, stderr } = await cli(["try", ...ownClasses, file, "-o", "json"]);
    assert.equal(code, 0, stderr);
    const { devices } = (JSON.parse(stdout) as { status: { devices: Shown[] } }).status;
    assert.equal(devices.length, expected.length);
    expected.forEach((networkData, i) => {
      const found = devices[i]!;
      for (const [key, value] of Object.entries(networkData)) {
        assert.deepEqual(found.networkData[key], value, `${name}: devices[${i}] ${key}`);
      }
    });
    assert.match(stderr, /nothing is left/);
  });
}

Deno.test("the claims of docs/from-multus.md", async () => {
  const page = await Deno.readTextFile(join(EXAMPLES_FOLDER, "../docs/from-multus.md"));
  const [, yaml = ""] = page.match(/```yaml\n(.*?)```/s) ?? [];
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(file, yaml);
    const { code, stdout, stderr } = await cli(["try", file, "-o", "json"]);
    assert.equal(code, 0, stderr);
    const { items } = JSON.parse(stdout) as { items: { status: { devices: Shown[] } }[] };
    const shown = items.flatMap(({ status }) => status.devices).map(({ networkData }) =>
      networkData
    );
    assert.deepEqual(
      shown.map(({ interfaceName, ips }) => `${interfaceName} ${ips}`).sort(),
      ["fixed 10.20.2.10/24", "lan 10.20.1.2/24"],
    );
    assert.ok(shown.some(({ hardwareAddress }) => hardwareAddress === "02:00:00:00:20:10"));
  } finally {
    await Deno.remove(file);
  }
});
