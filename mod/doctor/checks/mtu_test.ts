import assert from "node:assert/strict";
import {
  rawClaim,
  rawClass,
  rawCluster,
  rawNetwork,
  rawSlice,
} from "../../../tests/support/cluster_objects.ts";
import { seenOf } from "../../../tests/support/doctor_scene.ts";
import { checkMtu } from "./mtu.ts";

const SLICES = [rawSlice("node-1"), rawSlice("node-2", ["eth1"], { mtu: 9000 })];

/** A claim on each node, on the same network. */
const claims = (device: string, plugin = "macvlan") =>
  ["node-1", "node-2"].map((node) =>
    rawClaim(`lan-${node}`, { node, device, parameters: rawNetwork("lan", plugin) })
  );

/** A class whose network names its interface. */
function named(plugin: Record<string, unknown>) {
  const config = { cniVersion: "1.0.0", name: "san", plugins: [{ type: "macvlan", ...plugin }] };
  return rawClass("san", { ...rawNetwork("san"), config });
}

const check = async (more: Parameters<typeof rawCluster>[0], node?: string) =>
  checkMtu(
    await seenOf({ cluster: rawCluster({ resourceslices: SLICES, ...more }) }, { node }),
  );

Deno.test("checkMtu() finds nothing where a network has one MTU, or none of its own", async () => {
  const same = await check({
    resourceslices: [rawSlice("node-1"), rawSlice("node-2")],
    resourceclaims: claims("eth1"),
  });
  assert.deepEqual([same.findings, same.unknown], [[], []]);
  assert.match(same.well!, /one MTU/);
  for (
    const more of [
      { resourceclaims: claims("cni") },
      { resourceclaims: claims("eth1", "bridge") },
      { deviceclasses: [named({ master: "eth1", mtu: 1400 })] },
      { deviceclasses: [named({ master: "nosuch" })] },
    ]
  ) assert.deepEqual((await check(more)).findings, []);
});

Deno.test("checkMtu() names a network that is attached to interfaces of different MTUs", async () => {
  const { findings } = await check({ resourceclaims: claims("eth1") });
  assert.deepEqual(findings.map(({ level, where }) => [level, where]), [[
    "warning",
    "network lan",
  ]]);
  assert.match(findings[0]!.what, /: 1500 on node-1 \(eth1\); 9000 on node-2 \(eth1\)$/);
});

Deno.test("checkMtu() sees by the interface that a class names what is to come", async () => {
  const { findings } = await check({ deviceclasses: [named({ master: "eth1" })] });
  assert.equal(findings[0]?.where, "network san");
  assert.equal((await check({ resourceclaims: claims("eth1") }, "node-2")).findings.length, 1);
  assert.deepEqual((await check({ resourceclaims: claims("eth1") }, "node-3")).findings, []);
});

Deno.test("checkMtu() says what it could not look at", async () => {
  const { unknown, well } = checkMtu(await seenOf({ forbidden: ["resourceslices"] }));
  assert.equal(unknown[0]?.what, "the MTU of interfaces");
  assert.equal(well, undefined);
});
