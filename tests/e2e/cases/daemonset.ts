/** What only the DaemonSet has: its container's probes, kubectl, and coming and going as a release. */
import assert from "node:assert/strict";
import { agentOf } from "../agents/daemonset_agent.ts";
import type { Json } from "../api.ts";
import { NAMESPACE } from "../chart.ts";
import type { Cluster } from "../cluster.ts";
import { claim, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";

const SET = ["--namespace", NAMESPACE, "daemonset/network-dra"];

async function run(space: Space, name: string): Promise<Json> {
  await space.apply(claim(name, [{ name: "lan", subnet: 1 }]), pod(name, { claims: [name] }));
  return await space.running(name);
}

/** Waits for the value of the condition Ready of the agent's pod. */
async function agentReady(cluster: Cluster, wanted: "True" | "False"): Promise<void> {
  await until(`the agent's pod has Ready ${wanted}`, async () => {
    const [{ status }] = await agentOf(cluster).pods() as [Json];
    const ready = status.conditions.find(({ type }: Json) => type === "Ready");
    return ready.status === wanted || undefined;
  });
}

export const DAEMONSET: Readonly<Record<string, Case>> = {
  "kubectl logs of the agent": async ({ cluster }) => {
    const lines = (await cluster.kubectl("logs", ...SET)).trim().split("\n");
    const messages = lines.map((line) => JSON.parse(line).msg);
    for (const message of ["network-dra starts", "ready"]) assert.ok(messages.includes(message));
  },

  "an agent that hangs is not ready, and is again when it goes on": async (space) => {
    const { cluster } = space;
    const status = async () => {
      const [{ status }] = await agentOf(cluster).pods() as [Json];
      return status.containerStatuses[0];
    };
    const before = await status();
    const [, container] = before.containerID.split("//");
    await cluster.node.kill(container, "SIGSTOP");
    try {
      await agentReady(cluster, "False");
    } finally {
      await cluster.node.kill(container, "SIGCONT");
    }
    await agentReady(cluster, "True");
    assert.equal((await status()).restartCount, before.restartCount);
    await space.assertNetwork(await run(space, "one"), { subnet: 1 });
  },

  "kubectl exec forgets a claim that cannot be detached": async (space) => {
    const { cluster, namespace } = space;
    const before =
      `[ "$CNI_COMMAND" = DEL ] && echo '{"code": 11, "msg": "gone for good"}' && exit 1`;
    await cluster.wrapPlugin("sticky", { around: "macvlan", before });
    await space.apply(
      claim("lan", [{ name: "lan", type: "sticky", subnet: 1 }]),
      pod("one", { claims: ["lan"] }),
    );
    await space.assertNetwork(await space.running("one"), { subnet: 1 });
    const forget = () =>
      cluster.kubectl("exec", ...SET, "--", "/network-dra", "forget", `${namespace}/lan`);
    await assert.rejects(forget(), /pod/);
    await cluster.api.delete({ kind: "Pod", name: "one", namespace });
    await space.assertEvent("one", /^NetworkDetachFailed: .*gone for good/);
    cluster.expectError(/^gave up detaching network "lan" .*: gone for good$/);
    assert.match(await forget(), /lan/);
    await until("the pod is gone", async () => !await space.get("Pod", "one") || undefined, {
      limit: 120_000,
    });
    // What was never detached stays, as it said.
    await cluster.node.removeLeases("lan");
  },

  "the agent is uninstalled and installed again while pods live": async (space) => {
    const { cluster, namespace } = space;
    const agent = agentOf(cluster);
    const was = await space.assertNetwork(await run(space, "stays"), { subnet: 1 });
    const leaves = await run(space, "leaves");
    await agent.uninstall();
    await cluster.api.delete({ kind: "Pod", name: "leaves", namespace });
    await until("its containers end", async () => {
      return (await space.get("Pod", "leaves")).status.containerStatuses[0].state.terminated;
    });
    await space.linkIn(await space.running("stays"), { subnet: 1 });
    // The driver is asked to unprepare the claim, and is not there.
    assert.ok(await space.get("Pod", leaves.metadata.name));
    await agent.install();
    await until("the pod is gone", async () => !await space.get("Pod", "leaves") || undefined, {
      limit: 120_000,
    });
    const is = await space.assertNetwork(await space.running("stays"), { subnet: 1 });
    assert.equal(is.address, was.address);
    await space.assertNetwork(await run(space, "comes"), { subnet: 1 });
  },

  "kubectl drain takes the pods and leaves the agent": async (space) => {
    const { cluster, namespace } = space;
    const before = await agentOf(cluster).pods();
    await run(space, "one");
    const { name } = cluster.node;
    try {
      // The pod is nobody's.
      const flags = ["--force", "--ignore-daemonsets", "--timeout", "60s"];
      await cluster.kubectl("drain", name, ...flags);
      assert.equal(await space.get("Pod", "one"), undefined);
      await cluster.assertNothingLeft();
    } finally {
      await cluster.kubectl("uncordon", name);
    }
    const uids = (pods: readonly Json[]) => pods.map(({ metadata }) => metadata.uid);
    assert.deepEqual(uids(await agentOf(cluster).pods()), uids(before));
    await cluster.api.delete({ kind: "ResourceClaim", name: "one", namespace });
    await space.assertNetwork(await run(space, "two"), { subnet: 1 });
  },
};
