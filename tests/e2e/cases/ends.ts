/** How pods end. Each case is followed by the check that nothing is left on the node. */
import assert from "node:assert/strict";
import { claim, claimTemplate, job, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case } from "../space.ts";

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

  "30 short pods": async (space) => {
    await space.apply(
      claimTemplate("lan", [{ name: "lan", subnet: 1 }]),
      job("churn", {
        completions: 30,
        parallelism: 10,
        templates: ["lan"],
        command: ["sh", "-c", "ip addr show net1"],
      }),
    );
    const job30 = () => space.get("Job", "churn");
    const ended = await until("the Job ends", async () => {
      const { status } = await job30();
      return status?.completionTime || status?.failed ? status : undefined;
    }, { limit: 180_000, explain: async () => JSON.stringify((await job30()).status) });
    assert.equal(ended.succeeded, 30);
    assert.equal(ended.failed, undefined);
    await space.cluster.assertNothingLeft();
  },
};
