/** Each example does on a simulated node what its README says. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { chartClasses } from "../../mod/manifests/chart_classes.ts";
import type { Manifest } from "../../mod/manifests/manifest.ts";
import { cli } from "../support/cli.ts";
import { readObjects } from "../support/deployment.ts";
import { EXAMPLES, EXAMPLES_FOLDER, readExample } from "../support/examples.ts";

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

Deno.test("the classes that try has are those of the chart", async () => {
  const installed = readObjects(await Deno.readTextFile(MANIFESTS))
    .filter(({ kind }) => kind === "DeviceClass") as unknown as Manifest[];
  const shown = ({ metadata, spec }: Manifest) => [metadata.name, spec];
  assert.deepEqual(chartClasses("dra.networking").map(shown), installed.map(shown));
});

for (const name of EXAMPLES) {
  const { file, expected, simulated } = await readExample(name);
  if (!simulated) continue;
  Deno.test(`example ${name}`, async () => {
    const { code, stdout, stderr } = await cli(["try", file, "-o", "json"]);
    assert.equal(code, 0, stderr);
    const devices = shownDevices(stdout);
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

Deno.test("example first-available on a node with a fast interface", async () => {
  const { file } = await readExample("first-available");
  const node = join(EXAMPLES_FOLDER, "first-available/node.yaml");
  const { code, stderr } = await cli(["try", file, "--node", node]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /allocated: lan\/fast gets eth1 on node-1/);
});

/** Of the claim that was printed, or of all claims. */
function shownDevices(stdout: string): Shown[] {
  const shown = JSON.parse(stdout) as { items?: Claim[] } & Claim;
  return (shown.items ?? [shown]).flatMap(({ status }) => status.devices);
}

interface Claim {
  readonly status: { readonly devices: Shown[] };
}

Deno.test("the claims of docs/how-to/from-multus.md", async () => {
  const page = await Deno.readTextFile(join(EXAMPLES_FOLDER, "../docs/how-to/from-multus.md"));
  const yaml = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text!)
    .find((text) => /^kind: ResourceClaim/m.test(text)) ?? "";
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
