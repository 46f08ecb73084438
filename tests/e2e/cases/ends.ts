/** How pods end. Each case is followed by the check that nothing is left on the node. */
import assert from "node:assert/strict";
import type { Manifest } from "../api.ts";
import { claim, claimTemplate, job, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";

export const ENDS: Readonly<Record<string, Case>> = {
  "delete": async (space) => {
    const { cluster } = space;
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), pod("one", { claims: ["lan"] }));
    await space.assertNetwork(await space.running("one"), { subnet: 1 });
    // What is gone afterwards is there now: the check sees it.
    const left = (await cluster.leftovers()).join("\n");
    for (
      const trace of [/claims\//, /attachments\//, /cdi\//, /lease lan /, /network namespace /]
    ) {
      assert.match(left, trace);
    }
    await space.delete("Pod", "one");
    await cluster.assertNothingLeft();
    const kept = await space.get("ResourceClaim", "lan");
    assert.equal(kept.status?.devices, undefined);
    assert.equal(kept.status?.allocation, undefined);
  },

  "force delete": async (space) => {
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), pod("one", { claims: ["lan"] }));
    await space.assertNetwork(await space.running("one"), { subnet: 1 });
    await space.delete("Pod", "one", { graceSeconds: 0 });
    await space.cluster.assertNothingLeft();
  },

  "delete while a plugin attaches": async (space) => {
    const { cluster } = space;
    const mark = cluster.mark("attaching");
    const before = `[ "$CNI_COMMAND" = ADD ] && : > ${mark} && sleep 4`;
    await cluster.wrapPlugin("slow", { around: "macvlan", before });
    await space.apply(
      claim("lan", [{ name: "lan", type: "slow", subnet: 1 }]),
      pod("one", { claims: ["lan"] }),
    );
    await until("the plugin runs", () => Deno.stat(mark).catch(() => undefined));
    await space.delete("Pod", "one");
    await cluster.assertNothingLeft();
  },

  "a plugin that cannot detach holds the claim until it can": async (space) => {
    const { cluster } = space;
    const mark = cluster.mark("detachable");
    const before = `if [ "$CNI_COMMAND" = DEL ] && [ ! -e ${mark} ]; then ` +
      `echo '{"code": 11, "msg": "the controller is away"}'; exit 1; fi`;
    await cluster.wrapPlugin("sticky", { around: "macvlan", before });
    await space.apply(
      claim("lan", [{ name: "lan", type: "sticky", subnet: 1 }]),
      pod("one", { claims: ["lan"] }),
    );
    await space.assertNetwork(await space.running("one"), { subnet: 1 });
    await cluster.api.delete({ kind: "Pod", name: "one", namespace: space.namespace });
    for (const name of ["one", "lan"]) {
      await space.assertEvent(name, /^NetworkDetachFailed: .*the controller is away/);
    }
    assert.notEqual(await space.get("Pod", "one"), undefined);
    await Deno.writeTextFile(mark, "");
    await until("the pod is gone", async () => !await space.get("Pod", "one") || undefined, {
      limit: 120_000,
    });
  },

  "the node is drained": async (space) => {
    await space.apply(
      claimTemplate("lan", [{ name: "lan", subnet: 1 }]),
      claim("shared", [{ name: "lan", subnet: 2 }]),
      ...[1, 2, 3].map((n) => pod(`pod-${n}`, { templates: ["lan"], claims: ["shared"] })),
    );
    await Promise.all((await space.allRunning(3)).map(async ({ metadata: { name } }) => {
      const path = `/api/v1/namespaces/${space.namespace}/pods/${name}/eviction`;
      const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name } };
      await space.cluster.api.request("POST", path, eviction);
    }));
    await until(
      "the pods are gone",
      async () => (await space.list("Pod")).length === 0 || undefined,
    );
    await space.cluster.assertNothingLeft();
  },

  "100 short pods": async (space) => {
    await space.apply(claimTemplate("lan", [{ name: "lan", subnet: 1 }]), churn(100));
    await succeeds(space, 100);
    await space.cluster.assertNothingLeft();
  },

  "30 short pods while the agent restarts": async (space) => {
    const { cluster } = space;
    await space.apply(claimTemplate("lan", [{ name: "lan", subnet: 1 }]), churn(30));
    for (const after of [5, 15]) {
      await through(space, after);
      await cluster.agent.restart("SIGTERM");
    }
    await succeeds(space, 30);
    await cluster.assertNothingLeft();
  },

  "30 short pods while the agent is killed": async (space) => {
    const { cluster } = space;
    // A container that found no network says so, and ends well. One that did not start because the
    // agent died before its network was there is started again.
    const command = ["sh", "-c", "ip addr show net1 || echo without > /dev/termination-log"];
    await space.apply(
      claimTemplate("lan", [{ name: "lan", subnet: 1 }]),
      churn(30, { command, restarts: 30 }),
    );
    await through(space, 10);
    await cluster.agent.restart("SIGKILL");
    await succeeds(space, 30);
    for (const { metadata: { name }, status } of await space.list("Pod")) {
      const { state, lastState } = status.containerStatuses[0];
      assert.equal(state.terminated.message, undefined, `${name} ran without its network`);
      assert.match(lastState.terminated?.reason ?? "StartError", /^StartError$/);
    }
    const late = (await space.list("Event")).filter(({ reason }) => reason === LATE);
    assert.deepEqual(late.map(({ message }) => message), []);
    await cluster.assertNothingLeft();
  },

  "a rolling update of the agent under a stream of pods": async (space) => {
    const { cluster } = space;
    // The agent that runs has no pod, and hands over to those that have one.
    await space.apply(claimTemplate("lan", [{ name: "lan", subnet: 1 }]), churn(60));
    for (const after of [5, 15, 25, 35]) {
      await through(space, after);
      await cluster.agent.update();
    }
    await succeeds(space, 60);
    await cluster.assertNothingLeft();
    const late = (await space.list("Event")).filter(({ reason }) => {
      return ["FailedPrepareDynamicResources", LATE].includes(reason);
    });
    assert.deepEqual(late.map(({ message }) => message), []);
  },
};

/** Resolves when so many pods have succeeded, or the Job has failed. */
async function through(space: Space, pods: number): Promise<void> {
  await until(`${pods} pods are through`, async () => {
    const { status } = await space.get("Job", NAME);
    return (status?.succeeded ?? 0) >= pods || status?.failed ? true : undefined;
  }, { limit: 180_000 });
}

const NAME = "churn";
const LATE = "NetworkAttachedLate";

/** Pods that fail unless their network is there when they start, where no other command is given. */
function churn(
  completions: number,
  { command = ["sh", "-c", "ip addr show net1"], restarts = 0 } = {},
): Manifest {
  return job(NAME, { completions, parallelism: 10, templates: ["lan"], command, restarts });
}

async function succeeds(space: Space, completions: number): Promise<void> {
  const status = async () => (await space.get("Job", NAME)).status;
  const ended = await until("the Job ends", async () => {
    const now = await status();
    return now?.completionTime || now?.failed ? now : undefined;
  }, { limit: 240_000, explain: async () => JSON.stringify(await status()) });
  assert.equal(ended.succeeded, completions);
  assert.equal(ended.failed, undefined);
}
