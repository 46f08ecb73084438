import assert from "node:assert/strict";
import {
  AT,
  rawAgentPod,
  rawClaim,
  type RawClaimOptions,
  rawClass,
  type RawCluster,
  rawCluster,
  rawEvent,
  rawNetwork,
  rawNode,
  rawPod,
  rawSlice,
  rawTemplate,
  reservation,
} from "../../tests/support/cluster_objects.ts";
import { NOW, objectsOf, pictureFrom } from "../../tests/support/cluster_source.ts";
import type { ClaimPhase } from "./picture.ts";
import { pictureOf } from "./picture_of.ts";

const READY = { reason: "NetworkInterfaceReady", message: "attached as net1" };

/** A cluster with one pod on node-1 and its claim. */
function withClaim(claim: RawClaimOptions, more: Partial<RawCluster> = {}): RawCluster {
  const pod = rawPod("web", {
    node: "node-1",
    running: true,
    claims: [{ name: "lan", resourceClaimName: "lan" }],
  });
  return rawCluster({
    pods: [pod],
    resourceclaims: [rawClaim("lan", {
      node: "node-1",
      reservedFor: [reservation(pod)],
      ...claim,
    })],
    ...more,
  });
}

const podOf = ({ pods }: RawCluster) => pods.at(-1)!;

Deno.test("pictureOf() shows an attached network with its pod, interface and addresses", async () => {
  const { claims: [claim], pods: [pod], ...picture } = await pictureFrom(
    withClaim({ ready: READY, ips: ["10.0.0.2/24", "fd00::2/64"] }),
  );
  assert.deepEqual(picture.unread, []);
  assert.deepEqual(picture.drivers, ["dra.networking"]);
  assert.equal(picture.takenAt, NOW.toISOString());
  assert.deepEqual([claim!.state.phase, claim!.state.since], ["attached", AT]);
  assert.equal(claim!.node, "node-1");
  assert.deepEqual(claim!.pods.map(({ name }) => name), ["web"]);
  const [attachment] = claim!.attachments;
  assert.deepEqual(attachment!.network, {
    name: "lan",
    source: "parameters",
    plugins: ["macvlan"],
    interfaceName: "net1",
  });
  assert.equal(attachment!.interfaceName, "net1");
  assert.equal(attachment!.hardwareAddress, "02:00:00:00:00:01");
  assert.deepEqual(attachment!.ips, ["10.0.0.2/24", "fd00::2/64"]);
  assert.deepEqual(attachment!.condition, { status: "True", ...READY, since: AT });
  assert.equal(pod!.claims[0]!.view, claim);
  assert.deepEqual(picture.networks, [{
    name: "lan",
    source: "parameters",
    plugins: [["macvlan"]],
    classes: [],
    nodes: ["node-1"],
    phases: { attached: 1 },
  }]);
  const used = picture.devices.filter(({ claims }) => claims.length > 0);
  assert.deepEqual(used.map(({ node, name, capacity }) => [node, name, capacity]), [
    ["node-1", "cni", 256],
  ]);
  assert.deepEqual(picture.devices.find(({ name }) => name === "eth1")!.attributes, {
    type: "physical",
    state: "up",
    interface: "eth1",
    plugin_host_local: true,
    plugin_macvlan: true,
    mtu: 1500,
  });
});

const FULL = "10.0.0.0/30: no addresses available";
const FAILED = { reason: "NetworkInterfaceNotReady", message: `plugin host-local: ${FULL}` };

const PHASES: readonly [string, ClaimPhase, RawClaimOptions][] = [
  ["its node has no agent's word yet", "attaching", {}],
  ["the plugin fails", "failed", { ready: FAILED }],
  ["the interface is gone", "lost", {
    ready: { reason: "DeviceRemoved", message: "eth1 is gone" },
  }],
  ["CHECK fails", "lost", { ready: { reason: "NetworkInterfaceLost", message: "no net1" } }],
  ["no pod uses it", "allocated", { reservedFor: [] }],
  ["it is being deleted", "detaching", { ready: READY, deleting: true }],
  ["it is not allocated", "unallocated", { node: undefined, reservedFor: [] }],
];

for (const [when, phase, options] of PHASES) {
  Deno.test(`pictureOf() calls a claim ${phase} when ${when}`, async () => {
    const { claims: [claim] } = await pictureFrom(withClaim(options));
    assert.equal(claim!.state.phase, phase);
    assert.equal(
      claim!.state.message,
      options.ready && phase !== "detaching" ? options.ready.message : undefined,
    );
  });
}

Deno.test("pictureOf() has the cause of a failed Prepare from the pod's event", async () => {
  const cluster = withClaim({});
  const message = 'claim default/lan: request lan: plugin "macvlan": is not in /opt/cni/bin';
  cluster.events = [
    rawEvent(podOf(cluster), { reason: "BackOff", message: "other", last: "2026-11-30T10:04:00Z" }),
    rawEvent(podOf(cluster), { reason: "FailedPrepareDynamicResources", message }),
  ];
  const { claims: [claim], pods: [pod] } = await pictureFrom(cluster);
  assert.deepEqual(claim!.state, {
    phase: "failed",
    reason: "FailedPrepareDynamicResources",
    message,
    since: AT,
  });
  assert.deepEqual(pod!.events.map(({ reason }) => reason), [
    "BackOff",
    "FailedPrepareDynamicResources",
  ]);
});

Deno.test("pictureOf() blames only the claim that a message names", async () => {
  const claims = ["lan", "lan-2"].map((name) => ({ name, resourceClaimName: name }));
  const pod = rawPod("web", { node: "node-1", claims });
  const cluster = rawCluster({
    pods: [pod],
    resourceclaims: ["lan", "lan-2"].map((name) =>
      rawClaim(name, { node: "node-1", reservedFor: [reservation(pod)] })
    ),
    events: [rawEvent(pod, {
      reason: "FailedPrepareDynamicResources",
      message: "claim default/lan-2: it is refused",
    })],
  });
  const picture = await pictureFrom(cluster);
  assert.deepEqual(picture.claims.map(({ state }) => state.phase), ["attaching", "failed"]);
});

Deno.test("pictureOf() says of an unallocated claim what the scheduler says", async () => {
  const message = "0/2 nodes are available: 2 cannot allocate all claims.";
  const pod = rawPod("web", {
    unscheduled: message,
    claims: [{ name: "lan", resourceClaimName: "lan" }],
  });
  const { claims: [claim], networks } = await pictureFrom(
    rawCluster({ pods: [pod], resourceclaims: [rawClaim("lan")] }),
  );
  assert.deepEqual(claim!.state, { phase: "unallocated", reason: "Unschedulable", message });
  assert.deepEqual(claim!.pods.map(({ name }) => name), ["web"]);
  assert.deepEqual(networks.map(({ phases }) => phases), [{ unallocated: 1 }]);
});

Deno.test("pictureOf() calls a claim detaching when all its pods end", async () => {
  const pod = rawPod("web", {
    node: "node-1",
    terminating: true,
    claims: [{ name: "lan", resourceClaimName: "lan" }],
  });
  const message = "network lan cannot be detached: exit code 1";
  const { claims: [claim] } = await pictureFrom(rawCluster({
    pods: [pod],
    resourceclaims: [
      rawClaim("lan", { node: "node-1", ready: READY, reservedFor: [reservation(pod)] }),
    ],
    events: [rawEvent(pod, { reason: "NetworkDetachFailed", message })],
  }));
  assert.equal(claim!.state.phase, "detaching");
  assert.equal(claim!.state.message, message);
});

Deno.test("pictureOf() leaves out what other drivers have", async () => {
  const gpu = rawClaim("gpu", { className: "gpu", node: "node-1", parameters: {} });
  const text = JSON.stringify(gpu).replaceAll("dra.networking", "gpu.example.com");
  const pod = rawPod("web", { claims: [{ name: "gpu", resourceClaimName: "gpu" }] });
  const picture = await pictureFrom(
    rawCluster({ pods: [pod], resourceclaims: [JSON.parse(text)] }),
  );
  assert.deepEqual([picture.claims, picture.pods], [[], []]);
});

Deno.test("pictureOf() says how each node's agent is doing", async () => {
  const waiting = { reason: "ImagePullBackOff", message: "no such image" };
  const { nodes } = await pictureFrom({
    ...rawCluster(),
    nodes: ["away", "bare", "old", "process"].map((name) =>
      rawNode(name, { ready: name !== "away" })
    ),
    pods: [
      rawAgentPod("away", { ready: false, waiting }),
      rawAgentPod("old", { version: "0.0.9" }),
      rawAgentPod("old", { ready: false }),
      rawPod("web", { node: "bare", claims: [] }),
    ],
    resourceslices: [rawSlice("process"), rawSlice("old")],
  });
  const said = nodes.map(({ name, agent, devices }) => {
    const version = "pod" in agent ? agent.pod.version : undefined;
    const problem = agent.state === "not-ready" ? agent.problem : undefined;
    return [name, agent.state, version, problem, devices];
  });
  assert.deepEqual(said, [
    ["away", "not-ready", "0.1.0", "ImagePullBackOff: no such image", 0],
    ["bare", "none", undefined, undefined, 0],
    ["old", "ready", "0.0.9", undefined, 2],
    ["process", "unseen", undefined, undefined, 2],
  ]);
  assert.equal(nodes[0]!.ready, false);
  assert.match(nodes[0]!.problem!, /stopped posting/);
});

Deno.test("pictureOf() takes the network of a class for claims without their own", async () => {
  const { networks, claims, classes } = await pictureFrom(rawCluster({
    deviceclasses: [rawClass("storage", rawNetwork("storage", "vlan"))],
    resourceclaims: [rawClaim("disk", { className: "storage", parameters: {} })],
  }));
  assert.deepEqual(classes.map(({ name }) => name), ["storage"]);
  assert.deepEqual(networks.map(({ name, classes }) => [name, classes]), [
    ["storage", ["storage"]],
  ]);
  assert.deepEqual(claims[0]!.networks, []);
});

Deno.test("pictureOf() shows a pod whose claim is not made from its template yet", async () => {
  const pod = rawPod("web", { claims: [{ name: "lan", resourceClaimTemplateName: "lan" }] });
  const { pods, templates } = await pictureFrom(
    rawCluster({ pods: [pod], resourceclaimtemplates: [rawTemplate("lan")] }),
  );
  assert.deepEqual(pods[0]!.claims, [{ name: "lan", template: "lan" }]);
  assert.deepEqual(templates, [{ namespace: "default", name: "lan" }]);
});

Deno.test("pictureOf() says what could not be read, and shows the rest", async () => {
  const cluster = withClaim({ ready: READY });
  const picture = await pictureFrom(cluster, { forbidden: ["pods", "nodes"] });
  assert.deepEqual(picture.unread.map(({ kind, cause }) => [kind, cause]), [
    ["Node", "forbidden"],
    ["AgentPod", "forbidden"],
    ["Pod", "forbidden"],
  ]);
  assert.deepEqual(picture.nodes.map(({ ready, agent }) => [ready, agent.state]), [
    [undefined, "unseen"],
    [undefined, "unseen"],
  ]);
  assert.deepEqual(picture.claims[0]!.pods.map(({ name }) => name), ["web"]);
});

Deno.test("pictureOf() is about the driver that the user names", async () => {
  const objects = await objectsOf(withClaim({ ready: READY }));
  const { drivers, claims } = pictureOf(objects, { driver: "other", now: NOW });
  assert.deepEqual([drivers, claims], [["other"], []]);
});
