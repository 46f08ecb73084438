/** What the kubelet's own DRA manager asks of the agent, and what it makes of the answers. */
import assert from "node:assert/strict";
import { ip } from "../../../mod/simulator/private_node.ts";
import { shownStatus } from "../../support/claims.ts";
import { type DraNode, DRIVER } from "../dra_node.ts";
import type { OraclePod } from "../dra_oracle.ts";
import { until } from "../poll.ts";

function aPod(name: string, claim = `${name}-claim`): OraclePod {
  return { name, uid: crypto.randomUUID(), claims: [claim] };
}

type Case = (node: DraNode) => Promise<void>;

export const DRA_MANAGER: Readonly<Record<string, Case>> = {
  "a pod's claim is prepared, and unprepared after the pod": async (node) => {
    const pod = aPod("one");
    const claim = node.claim([pod]);
    assert.equal(await node.kubelet.prepare(pod), "");
    assert.deepEqual(await node.kubelet.cdiDevices(pod), [`${DRIVER}/claim=${claim.uid}`]);
    const sandbox = await node.run(pod);
    const address = await node.address(sandbox);
    assert.match(address ?? "", /^10\.10\.1\./);
    await until("the status tells of the network", () => {
      const [shown] = shownStatus(node.api.get("default", claim.name));
      return Promise.resolve(shown === `cni-0 True ${address}` || undefined);
    });
    await node.end(sandbox);
    assert.equal(await node.kubelet.unprepare(pod), "");
    // The kubelet has forgotten it by then.
    assert.equal(await node.kubelet.unprepare(pod), "");
  },

  "a claim that cannot be prepared: the kubelet shows why, and lets go of it": async (node) => {
    const pod = aPod("refused");
    node.claim([pod], { config: { mode: 7 } });
    const said = await node.kubelet.prepare(pod);
    assert.match(said, /^prepare dynamic resources: NodePrepareResources failed for ResourceClaim/);
    assert.match(said, /refused-claim: .*mode/);
    assert.equal(await node.kubelet.unprepare(pod), "");
  },

  "a claim is prepared at the next try when it is right then, after a restart too": async (
    node,
  ) => {
    const pod = aPod("mended");
    const { uid } = node.claim([pod], { config: { mode: 7 } });
    assert.match(await node.kubelet.prepare(pod), /mode/);
    await node.kubelet.kill();
    const { metadata, ...claim } = node.api.get("default", node.claim([pod]).name)!;
    node.api.put({ ...claim, metadata: { ...metadata, uid } });
    await node.startKubelet();
    await node.registered();
    assert.equal(await node.kubelet.prepare(pod), "");
    assert.deepEqual(await node.kubelet.cdiDevices(pod), [`${DRIVER}/claim=${uid}`]);
    assert.equal(await node.kubelet.unprepare(pod), "");
  },

  "a second pod of a shared claim, of which the kubelet does not tell": async (node) => {
    const [first, second] = [aPod("first", "shared"), aPod("second", "shared")] as const;
    const { uid } = node.claim([first, second]);
    assert.equal(await node.kubelet.prepare(first), "");
    const one = await node.run(first);
    assert.equal(await node.kubelet.prepare(second), "");
    assert.deepEqual(await node.kubelet.cdiDevices(second), [`${DRIVER}/claim=${uid}`]);
    const two = await node.run(second);
    const address = await node.address(two);
    assert.match(address ?? "", /^10\.10\.1\./);
    assert.notEqual(await node.address(one), address);
    // The claim is in use by the second pod: only the first one's network goes.
    await node.end(one);
    assert.equal(await node.kubelet.unprepare(first), "");
    assert.equal(await node.address(two), address);
    assert.deepEqual(await node.kubelet.cdiDevices(second), [`${DRIVER}/claim=${uid}`]);
    await node.end(two);
    assert.equal(await node.kubelet.unprepare(second), "");
  },

  "Unprepare of a claim in use takes the network from the pod that runs": async (node) => {
    const pod = aPod("in-use");
    node.claim([pod]);
    assert.equal(await node.kubelet.prepare(pod), "");
    const sandbox = await node.run(pod);
    assert.match(await node.address(sandbox) ?? "", /^10\.10\.1\./);
    assert.equal(await node.kubelet.unprepare(pod), "");
    assert.equal(await node.address(sandbox), undefined);
    await node.end(sandbox);
  },

  "the kubelet restarted takes up prepared claims from its checkpoint": async (node) => {
    const pod = aPod("kept");
    const { uid } = node.claim([pod]);
    assert.equal(await node.kubelet.prepare(pod), "");
    const sandbox = await node.run(pod);
    const address = await node.address(sandbox);
    await node.kubelet.kill();
    await node.startKubelet();
    await node.registered();
    assert.deepEqual(await node.kubelet.cdiDevices(pod), [`${DRIVER}/claim=${uid}`]);
    assert.equal(await node.kubelet.prepare(pod), "");
    assert.equal(await node.address(sandbox), address);
    await node.end(sandbox);
    assert.equal(await node.kubelet.unprepare(pod), "");
  },

  "the kubelet started removes the node's slices, and the agent publishes them again": async (
    node,
  ) => {
    const published = () => Promise.resolve(node.api.slices.devices().length > 0 || undefined);
    await until("the devices are published", published);
    await node.kubelet.kill();
    const [before] = node.api.slices.all();
    await node.startKubelet();
    await node.registered();
    await until("the slice is another", () => {
      const [now] = node.api.slices.all();
      return Promise.resolve(now && now.metadata.uid !== before!.metadata.uid || undefined);
    });
    await until("the devices are published again", published);
  },

  "the agent killed and started again": async (node) => {
    const [pod, other] = [aPod("outlives"), aPod("after")] as const;
    node.claim([pod]);
    node.claim([other]);
    assert.equal(await node.kubelet.prepare(pod), "");
    const sandbox = await node.run(pod);
    const address = await node.address(sandbox);
    await node.agent.end("SIGKILL");
    assert.notEqual(await node.kubelet.prepare(other), "");
    await node.startAgent();
    assert.equal(await node.kubelet.prepare(other), "");
    assert.equal(await node.address(sandbox), address);
    await node.end(sandbox);
    for (const each of [pod, other]) assert.equal(await node.kubelet.unprepare(each), "");
  },

  "the agent updated: the kubelet goes over to the new one": async (node) => {
    const [pod, other] = [aPod("before"), aPod("updated")] as const;
    node.claim([pod]);
    node.claim([other]);
    assert.equal(await node.kubelet.prepare(pod), "");
    const old = node.agent;
    await node.startAgent("--pod-uid", crypto.randomUUID());
    await old.end();
    assert.equal(await node.kubelet.prepare(other), "");
    for (const each of [pod, other]) assert.equal(await node.kubelet.unprepare(each), "");
  },

  "the health of a pod's devices": async (node) => {
    const pod = aPod("ill");
    const { uid } = node.claim([pod]);
    assert.equal(await node.kubelet.prepare(pod), "");
    const sandbox = await node.run(pod);
    const shows = (wanted: string) =>
      until(`the device is ${wanted}`, async () => {
        const [claim] = await node.kubelet.health(pod);
        assert.equal(claim!.name, "claim:ill-claim");
        const [device, ...others] = claim!.resources;
        assert.deepEqual(others, []);
        assert.equal(device!.resourceID, `${DRIVER}/claim=${uid}`);
        return device!.health === wanted ? device : undefined;
      }, { explain: () => Promise.resolve(node.kubelet.log) });
    await shows("Healthy");
    await ip(["-n", sandbox.id, "link", "delete", "net1"]);
    const { message } = await shows("Unhealthy");
    // ResourceHealthStatusMessage
    if (node.minor >= 36) {
      assert.match(message!, /claim default\/ill-claim.* is lost: .*net1/);
    }
    assert.ok(node.kubelet.updated.includes(pod.uid));
    await node.end(sandbox);
    assert.equal(await node.kubelet.unprepare(pod), "");
  },
};
