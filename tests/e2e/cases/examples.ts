/** The files below examples/ as a user applies them, with what the chart installs. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { parse, parseAllDocuments } from "yaml";
import { ip } from "../../../mod/simulator/private_node.ts";
import { EXAMPLES, readExample } from "../../support/examples.ts";
import type { Json, Manifest } from "../api.ts";
import { claimWith, DRIVER, parametersOf, pod } from "../objects.ts";
import type { Case, Space } from "../space.ts";

/** Bridges that the plugin `bridge` makes for an example and keeps, as it should. */
const KEPT: Readonly<Record<string, string>> = { "several-networks": "br-green" };
/** The driver for which an example is written, where that is not the chart's default. */
const DRIVERS: Readonly<Record<string, string>> = { "demo-a": "poc.dra.networking" };

export const EXAMPLE_CASES: Readonly<Record<string, Case>> = {
  ...Object.fromEntries(EXAMPLES.map((name) => [`example ${name}`, example(name)])),

  "the documentation's expression to choose an interface": async (space) => {
    const claim = await documentedClaim("fast-lan");
    const [request] = claim.spec.devices.requests;
    await space.apply(claim, pod("one", { claims: ["fast-lan"] }));
    // No interface here is physical. One that cannot be evaluated says so instead.
    await space.assertEvent("one", /^FailedScheduling: .*cannot allocate all claims/);
    assert.doesNotMatch((await space.events("one")).join("\n"), /CEL|no such key/i);
    const [{ cel: { expression } }] = request.exactly.selectors;
    const veth = expression.replace('== "physical"', '== "veth"');
    assert.notEqual(veth, expression);
    const parameters = parametersOf({ name: "lan", subnet: 9, config: { master: undefined } });
    await space.apply(
      claimWith("veth-lan", {
        devices: {
          requests: [{
            ...request,
            exactly: { ...request.exactly, selectors: [{ cel: { expression: veth } }] },
          }],
          config: [{ opaque: { driver: DRIVER, parameters } }],
        },
      }),
      pod("two", { claims: ["veth-lan"] }),
    );
    await space.assertNetwork(await space.running("two"), { subnet: 9 });
  },
};

function example(name: string): Case {
  return async (space) => {
    const driver = DRIVERS[name];
    if (!driver) return await assertExample(space, name);
    await space.cluster.withDriver(driver, async () => {
      try {
        await assertExample(space, name);
      } finally {
        // Another driver's pods could not end.
        await space.clear();
      }
    });
  };
}

async function assertExample(space: Space, name: string): Promise<void> {
  const { file, expected } = await readExample(name);
  const manifests: Manifest[] = (parseAllDocuments(await Deno.readTextFile(file)) as Json[])
    .map((document) => document.toJS());
  await space.apply(...manifests);
  const found: Json[] = [];
  for (const running of await space.allRunning(podCount(manifests))) {
    for (const entry of await space.networksOf(running)) {
      found.push(entry.networkData);
      await assertParent(space, running, entry);
    }
  }
  assert.equal(found.length, expected.length);
  for (const promised of expected) {
    const at = found.findIndex((networkData) =>
      Object.entries(promised).every(([key, value]) => isDeepStrictEqual(networkData[key], value))
    );
    assert.notEqual(at, -1, `${JSON.stringify(promised)} is not among ${JSON.stringify(found)}`);
    found.splice(at, 1);
  }
  await space.clear();
  if (KEPT[name]) await ip(["link", "delete", KEPT[name]]);
}

/** A device that stands for an interface of the node is what the pod's interface is on. */
async function assertParent(space: Space, running: Json, entry: Json): Promise<void> {
  const parent = await space.cluster.interfaceOf(entry);
  if (parent === undefined) return;
  const { ifindex } = JSON.parse(await ip(["-j", "link", "show", parent]))[0];
  const link = `/sys/class/net/${entry.networkData.interfaceName}/iflink`;
  assert.equal((await space.exec(running, "cat", link)).trim(), String(ifindex));
}

/** How many pods the objects make. */
export function podCount(manifests: readonly Json[]): number {
  const counts = manifests.map(({ kind, spec }) =>
    kind === "Pod" ? 1 : ["Deployment", "StatefulSet"].includes(kind) ? spec.replicas ?? 1 : 0
  );
  return counts.reduce((all, each) => all + each, 0);
}

async function documentedClaim(name: string): Promise<Json> {
  const file = new URL("../../../docs/reference/devices.md", import.meta.url);
  const page = await Deno.readTextFile(file);
  const blocks = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, block]) => block!);
  const block = blocks.find((each) => each.includes(`name: ${name}\n`));
  assert.ok(block, `docs/reference/devices.md has no claim ${name}`);
  return parse(block);
}
