import assert from "node:assert/strict";
import { rawAgentPod, rawCluster } from "../../tests/support/cluster_objects.ts";
import { SCENES } from "../../tests/support/cluster_scenes.ts";
import { pictureFrom } from "../../tests/support/cluster_source.ts";
import { findingsOf } from "./findings.ts";

const named = (name: string) => SCENES.find((scene) => scene.name === name)!.cluster;

Deno.test("findingsOf() finds nothing wrong in a healthy cluster", async () => {
  assert.deepEqual(findingsOf(await pictureFrom(named("healthy"))), []);
});

Deno.test("findingsOf() names each fault, where it is and what to do", async (t) => {
  const cases: readonly [string, string, RegExp][] = [
    [
      "missing plugin",
      "claim default/lan",
      /could not be attached on node node-1 \(pod default\/web/,
    ],
    ["exhausted addresses", "claim default/lan", /all addresses of the range are in use/],
    ["refused by policy", "claim default/lan", /the administrator's policy does not allow/],
    ["agent away", "node node-1", /kube-system\/network-dra-node-1 is not ready: CrashLoopBackOff/],
    ["interface gone", "claim default/lan", /no longer as it was attached.*eth1 is gone/],
    ["not scheduled", "claim default/lan", /the scheduler finds no device/],
    [
      "no agent on a node",
      "claim default/lan",
      /the scheduler finds no device .*: no agent runs on node node-3, so that no pod/,
    ],
    ["node away", "node node-1", /the node is not ready: Kubelet stopped/],
  ];
  for (const [name, where, what] of cases) {
    await t.step(name, async () => {
      const [first] = findingsOf(await pictureFrom(named(name)));
      assert.equal(first!.where, where);
      assert.match(first!.what, what);
      assert.ok(first!.whatToDo);
    });
  }
});

Deno.test("findingsOf() says that agents of several versions run, after what is worse", async () => {
  const cluster = rawCluster({ resourceslices: [] });
  cluster.pods = [rawAgentPod("node-1"), rawAgentPod("node-2", { version: "0.2.0" })];
  const found = findingsOf(await pictureFrom(cluster));
  assert.deepEqual(found.map(({ level }) => level), ["error", "error", "warning"]);
  assert.match(found[0]!.what, /the agent is ready, but the node has no ResourceSlice/);
  assert.match(found.at(-1)!.what, /several versions run: 0\.1\.0, 0\.2\.0/);
});

Deno.test("findingsOf() says that the driver is not there, unless nobody may look", async () => {
  const cluster = { ...rawCluster({ resourceslices: [] }), pods: [] };
  const [first] = findingsOf(await pictureFrom(cluster));
  assert.match(first!.what, /no agent runs, and no node has devices of the driver dra\.networking/);
  assert.deepEqual(findingsOf(await pictureFrom(cluster, { forbidden: ["pods"] })), []);
});

Deno.test("findingsOf() names a node with networks and without an agent", async () => {
  const scene = named("healthy");
  const cluster = { ...scene, resourceslices: scene.resourceslices.slice(1) };
  cluster.pods = scene.pods.filter((pod) => !JSON.stringify(pod).includes('"network-dra-node-1"'));
  const [found] = findingsOf(await pictureFrom(cluster));
  assert.deepEqual([found?.level, found?.where], ["warning", "node node-1"]);
  assert.match(found!.what, /no agent runs there, though 1 claim in use has devices of the node/);
});
