/** The agent, the kubelet and the runtime go and come back. */
import assert from "node:assert/strict";
import type { Cluster } from "../cluster.ts";
import { claim, pod } from "../objects.ts";
import { until } from "../poll.ts";
import { type Case, containerOf, type Space } from "../space.ts";

const SIGNALS = ["SIGTERM", "SIGKILL"] as const;

/** Something goes and comes back while a plugin attaches a pod's network: the container starts with it. */
function whileAttaching(restart: (cluster: Cluster) => Promise<void>): Case {
  return async (space) => {
    const { cluster } = space;
    const mark = cluster.mark(`attaching-${space.namespace}`);
    const before = `[ "$CNI_COMMAND" = ADD ] && [ ! -e ${mark} ] && : > ${mark} && sleep 2`;
    await cluster.wrapPlugin("slow", { around: "macvlan", before });
    await space.apply(
      claim("lan", [{ name: "lan", type: "slow", subnet: 1 }]),
      pod("one", {
        claims: ["lan"],
        command: ["sh", "-c", "ip addr show net1 > /seen 2>&1; exec sleep infinity"],
      }),
    );
    await until("the plugin runs", () => Deno.stat(mark).catch(() => undefined));
    await restart(cluster);
    const running = await space.running("one");
    const seen = await until("the container has looked", async () => {
      return await space.exec(running, "cat", "/seen") || undefined;
    });
    assert.match(seen, /inet 10\.10\.1\./);
    await space.assertNetwork(running, { subnet: 1 });
  };
}

function restartAgent(signal: typeof SIGNALS[number]) {
  return (cluster: Cluster) => cluster.agent.restart(signal);
}

async function restartRuntime({ runtime }: Cluster): Promise<void> {
  await runtime.kill();
  await runtime.restart();
}

function agentEndsAfterwards(signal: typeof SIGNALS[number]): Case {
  return async (space) => {
    const { cluster } = space;
    await runOne(space, "before");
    const was = await space.assertNetwork(await space.running("before"), { subnet: 1 });
    await cluster.agent.away(signal, async () => {
      await space.linkIn(await space.running("before"), { subnet: 1 });
    });
    const is = await space.assertNetwork(await space.running("before"), { subnet: 1 });
    assert.equal(is.address, was.address);
    await runOne(space, "after");
    await space.assertNetwork(await space.running("after"), { subnet: 1 });
  };
}

async function runOne(space: Space, name: string): Promise<void> {
  await space.apply(claim(name, [{ name: "lan", subnet: 1 }]), pod(name, { claims: [name] }));
  await space.running(name);
}

export const RESTARTS: Readonly<Record<string, Case>> = {
  ...Object.fromEntries(SIGNALS.flatMap((signal) => [
    [`the agent gets ${signal} while it attaches`, whileAttaching(restartAgent(signal))],
    [`the agent gets ${signal} after it attached`, agentEndsAfterwards(signal)],
  ])),

  "the kubelet restarts while a plugin attaches": whileAttaching((cluster) => {
    return cluster.restartKubelet();
  }),
  "the container runtime restarts while a plugin attaches": whileAttaching(restartRuntime),

  "a pod that comes while the agent is away waits for it": async (space) => {
    const { cluster } = space;
    await cluster.agent.away("SIGTERM", async () => {
      await space.apply(
        claim("lan", [{ name: "lan", subnet: 1 }]),
        pod("one", { claims: ["lan"] }),
      );
      await space.assertEvent("one", /FailedPrepareDynamicResources: .*\bdra\.networking/);
    });
    const running = await space.running("one", { limit: 120_000 });
    await space.assertNetwork(running, { subnet: 1 });
  },

  "a pod that ends while the agent is away waits for it": async (space) => {
    const { cluster } = space;
    await runOne(space, "one");
    await cluster.agent.away("SIGKILL", async () => {
      await cluster.api.delete({ kind: "Pod", name: "one", namespace: space.namespace });
      await until("the pod's containers end", async () => {
        const pod = await space.get("Pod", "one");
        // An agent that is back already releases it.
        return !pod || pod.status.containerStatuses?.[0].state.terminated;
      });
    });
    await until("the pod is gone", async () => !await space.get("Pod", "one") || undefined, {
      limit: 120_000,
    });
  },

  "the kubelet restarts": async (space) => {
    const { cluster } = space;
    await runOne(space, "before");
    const was = await space.assertNetwork(await space.running("before"), { subnet: 1 });
    await cluster.restartKubelet();
    await runOne(space, "after");
    await space.assertNetwork(await space.running("after"), { subnet: 1 });
    const is = await space.assertNetwork(await space.running("before"), { subnet: 1 });
    assert.equal(is.address, was.address);
    assert.equal((await space.get("Pod", "before")).status.containerStatuses[0].restartCount, 0);
  },

  "a pod comes, and another ends, while the kubelet is away": async (space) => {
    const { cluster } = space;
    await runOne(space, "leaves");
    await cluster.restartKubelet(async () => {
      await space.apply(
        claim("comes", [{ name: "lan", subnet: 1 }]),
        pod("comes", { claims: ["comes"] }),
      );
      const namespace = space.namespace;
      await cluster.api.delete({ kind: "Pod", name: "leaves", namespace });
    });
    await space.assertNetwork(await space.running("comes"), { subnet: 1 });
    await until("the other is gone", async () => !await space.get("Pod", "leaves") || undefined);
  },

  "a pod whose sandbox dies gets its network in the new one": async (space) => {
    const { cluster } = space;
    await runOne(space, "one");
    const was = await space.running("one");
    await space.assertNetwork(was, { subnet: 1 });
    const { cri } = cluster.runtime;
    await cri.stopPodSandbox(await cri.sandboxOf(containerOf(was)));
    const is = await until("the pod runs in another sandbox", async () => {
      const pod = await space.running("one");
      return containerOf(pod) === containerOf(was) ? undefined : pod;
    });
    await space.assertNetwork(is, { subnet: 1 });
  },

  "the container runtime restarts": async (space) => {
    const { cluster } = space;
    await runOne(space, "before");
    const was = await space.assertNetwork(await space.running("before"), { subnet: 1 });
    await restartRuntime(cluster);
    await runOne(space, "after");
    await space.assertNetwork(await space.running("after"), { subnet: 1 });
    const is = await space.assertNetwork(await space.running("before"), { subnet: 1 });
    assert.equal(is.address, was.address);
  },
};
