import assert from "node:assert/strict";
import { rawAgentPod, rawCluster, rawPod } from "../../tests/support/cluster_objects.ts";
import { pictureFrom } from "../../tests/support/cluster_source.ts";
import { clusterOf, smallCluster } from "../../tests/support/page_cluster.ts";
import { MAP_STATES, worstOf } from "./map_picture.ts";
import { mapPictureOf } from "./map_picture_of.ts";

const ABOUT = { server: "https://10.0.0.1:6443", reading: false };
const NOW = new Date("2026-11-30T10:05:00Z");

Deno.test("mapPictureOf() shows each pod with its networks, its interfaces and its worst state", async () => {
  const { nodes, devices, networks, pods, summary } = mapPictureOf(
    await pictureFrom(smallCluster(NOW)),
    ABOUT,
  );
  assert.deepEqual(nodes.map(({ name, text }) => `${name}: ${text}`), [
    "node-1: agent 0.1.0 ready",
    "node-2: agent 0.1.0 ready",
    "node-3: agent 0.1.0 ready",
    "node-4: agent 0.1.0 ready",
  ]);
  assert.equal(devices.length, 12);
  const eth1 = devices.find(({ node, name }) => node === "node-2" && name === "eth1")!;
  assert.equal(eth1.used, 2);
  assert.equal(eth1.mtu, 1500);
  assert.deepEqual(networks.map(({ name, plugins, state }) => `${name} ${plugins} ${state}`), [
    "edge bridge attaching",
    "lan macvlan failed",
    "storage ipvlan lost",
  ]);
  const [web] = pods;
  assert.equal(`${web!.namespace}/${web!.name} ${web!.state}`, "default/web-0 attached");
  const [attachment] = web!.attachments;
  assert.deepEqual(attachment!.addresses, ["10.77.0.5/24"]);
  assert.equal(devices.find(({ key }) => key === attachment!.device)!.name, "eth1");
  assert.equal(networks.find(({ key }) => key === attachment!.network)!.name, "lan");
  assert.equal(Date.parse(attachment!.ready!) - Date.parse(attachment!.began), 3_000);
  const waiting = pods.find(({ name }) => name === "batch-0")!;
  assert.equal(waiting.state, "unallocated");
  assert.equal(waiting.attachments[0]!.device, undefined);
  assert.match(summary.findings[0]!.what, /the network could not be attached on node node-2/);
});

Deno.test("mapPictureOf() shows a pod whose claim is not there", async () => {
  const claims = [{ name: "lan", resourceClaimName: "gone" }];
  const { pods } = mapPictureOf(
    await pictureFrom(rawCluster({ pods: [rawPod("web", { node: "node-1", claims })] })),
    ABOUT,
  );
  assert.equal(pods[0]!.state, "no-claim");
  assert.equal(pods[0]!.attachments[0]!.claim, "gone");
});

Deno.test("mapPictureOf() says what is wrong with a node", async () => {
  const cluster = clusterOf([], ["node-1"]);
  const waiting = { reason: "CrashLoopBackOff", message: "back-off" };
  const agent = rawAgentPod("node-1", { ready: false, waiting });
  const { nodes } = mapPictureOf(await pictureFrom({ ...cluster, pods: [agent] }), ABOUT);
  assert.equal(nodes[0]!.well, false);
  assert.equal(nodes[0]!.text, "agent not ready: CrashLoopBackOff: back-off");
});

Deno.test("mapPictureOf() finds nothing wrong in what is still being read", async () => {
  const empty = await pictureFrom({ ...clusterOf([], []) });
  assert.equal(mapPictureOf(empty, ABOUT).summary.findings.length, 1);
  assert.deepEqual(mapPictureOf(empty, { ...ABOUT, reading: true }).summary.findings, []);
});

Deno.test("mapPictureOf() says once what cannot be read", async () => {
  const forbidden = ["pods"];
  const { summary } = mapPictureOf(await pictureFrom(clusterOf([], ["node-1"]), { forbidden }), {
    ...ABOUT,
    away: "you have no right to list pods",
  });
  assert.deepEqual(summary.unread, ["you have no right to list pods"]);
  assert.equal(summary.away, undefined);
});

Deno.test("worstOf() gives the worst state, and none of none", () => {
  assert.equal(worstOf(["attached", "lost", "attaching"]), "lost");
  assert.equal(worstOf([]), undefined);
  assert.equal(new Set(MAP_STATES).size, 8);
});
