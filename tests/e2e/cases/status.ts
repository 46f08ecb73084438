/** What `network-dra status` shows in the DaemonSet's container. */
import assert from "node:assert/strict";
import type { StatusReport } from "../../../mod/cmd/status_report.ts";
import { agentOf } from "../agents/daemonset_agent.ts";
import { NAMESPACE } from "../chart.ts";
import { claim, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";

/** As an administrator types it. */
function status({ cluster }: Space, ...args: string[]): Promise<string> {
  const set = ["--namespace", NAMESPACE, "daemonset/network-dra"];
  return cluster.kubectl("exec", ...set, "--", "/network-dra", "status", ...args);
}

async function report(space: Space, ...args: string[]): Promise<StatusReport> {
  return JSON.parse(await status(space, ...args, "-o", "json"));
}

export const STATUS: Readonly<Record<string, Case>> = {
  "kubectl exec shows what is attached": async (space) => {
    const { cluster, namespace } = space;
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), pod("web", { claims: ["lan"] }));
    const { address } = await space.linkIn(await space.running("web"), { subnet: 1 });
    const { source, agents, attachments, problems, settings } = await report(
      space,
      `${namespace}/web`,
    );
    assert.deepEqual([source, problems], ["agent", []]);
    const [own] = await agentOf(cluster).pods();
    assert.deepEqual(agents.map(({ podUid, role }) => [podUid, role]), [
      [own!.metadata.uid, "leads"],
    ]);
    assert.deepEqual(
      attachments.map(({ pod, claim, state, addresses, ...each }) => [
        pod.name,
        claim.name,
        state,
        each.interface,
        addresses,
      ]),
      [["web", "lan", "attached", "net1", [address]]],
    );
    const level = settings.find(({ name }) => name === "logLevel");
    assert.deepEqual(level, { name: "logLevel", value: "debug", from: "flag", at: "--log-level" });
    const text = await status(space, `${namespace}/lan`, "-o", "wide");
    assert.match(text, new RegExp(`^${namespace}/web +net1 +attached .*${address}`, "m"));
    await assert.rejects(status(space, "nobody"), /no pod, claim or interface "nobody"/);
  },

  "kubectl exec shows why a network is not attached, and that it comes": async (space) => {
    const { cluster, namespace } = space;
    const mark = cluster.mark("address");
    const before = `if [ "$CNI_COMMAND" = ADD ] && [ ! -e ${mark} ]; then ` +
      `echo '{"code": 11, "msg": "no address left"}'; exit 1; fi`;
    await cluster.wrapPlugin("flaky", { around: "macvlan", before });
    await space.apply(
      claim("lan", [{ name: "lan", type: "flaky", subnet: 1 }]),
      pod("web", { claims: ["lan"] }),
    );
    await space.assertEvent("web", /^NetworkAttachFailed: .*no address left/);
    await assert.rejects(
      status(space, `${namespace}/web`),
      /1 problem\n {2}pod \S+\/web: cannot attach network "lan"[^]*no\s+address\s+left[^]*exit code 3/,
    );
    await Deno.writeTextFile(mark, "");
    await space.assertNetwork(await space.running("web"), { subnet: 1 });
    await until("nothing is wrong", async () => {
      return (await report(space, `${namespace}/web`)).problems.length === 0 || undefined;
    });
  },
};
