/** Mistakes of users: the pod's events name the cause. */
import { claim, pod, type RequestOptions } from "../objects.ts";
import type { Case } from "../space.ts";

function waits(network: Partial<RequestOptions>, expected: RegExp): Case {
  return async (space) => {
    await space.apply(
      claim("lan", [{ name: "lan", subnet: 1, ...network }]),
      pod("waits", { claims: ["lan"] }),
    );
    await space.assertEvent("waits", expected);
  };
}

export const MISTAKES: Readonly<Record<string, Case>> = {
  "parameters without a configuration": waits(
    { parameters: { interface: "net1" } },
    /FailedPrepareDynamicResources: .*parameters\.config.*is missing/,
  ),
  "parameters with a field that is not known": waits(
    { parameters: { interfaces: "net1", config: {} } },
    /FailedPrepareDynamicResources: .*parameters.*interfaces/,
  ),
  "a plugin that is not there": waits(
    { type: "nowhere" },
    /network "lan" \(interface net1, claim [^)]+\) is not ready: .*nowhere/,
  ),
  "a master that is not there": waits(
    { config: { master: "eth9" } },
    /network "lan" \(interface net1, claim [^)]+\) is not ready: .*eth9/,
  ),

  "a mistake on the node that is repaired": async (space) => {
    const { cluster } = space;
    const mark = cluster.mark("uplink");
    const before = `if [ "$CNI_COMMAND" = ADD ] && [ ! -e ${mark} ]; then ` +
      `echo '{"code": 11, "msg": "the uplink is down"}'; exit 1; fi`;
    await cluster.wrapPlugin("flaky", { around: "macvlan", before });
    await space.apply(
      claim("lan", [{ name: "lan", type: "flaky", subnet: 1 }]),
      pod("one", { claims: ["lan"] }),
    );
    await space.assertEvent("one", /is not ready: .*the uplink is down/);
    await Deno.writeTextFile(mark, "");
    await space.assertNetwork(await space.running("one"), { subnet: 1 });
  },
};
