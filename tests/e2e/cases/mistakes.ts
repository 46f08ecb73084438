/** Mistakes of users: the pod's events name the cause. */
import assert from "node:assert/strict";
import { ip } from "../../../mod/simulator/private_node.ts";
import { claim, pod, type RequestOptions } from "../objects.ts";
import { until } from "../poll.ts";
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
  "a plugin that is not there": async (space) => {
    const { cluster } = space;
    await space.apply(
      claim("lan", [{ name: "lan", type: "late", subnet: 1 }]),
      pod("waits", { claims: ["lan"] }),
    );
    await space.assertEvent(
      "waits",
      /FailedPrepareDynamicResources: .*request lan: plugin type="late".*install it on the node/,
    );
    await cluster.wrapPlugin("late", { around: "macvlan", before: "" });
    await space.assertNetwork(await space.running("waits", { limit: 120_000 }), { subnet: 1 });
  },

  "a master that is not for claims": waits(
    { config: { master: "lo" } },
    /NetworkRefusedByPolicy: .*parameters\.config\.plugins\[0\]\.master: refused by policy/,
  ),

  "a master that is not there": async (space) => {
    // macvlan, open to claims with any master.
    await space.cluster.wrapPlugin("bare", { around: "macvlan", before: "" });
    await space.apply(
      claim("lan", [{ name: "lan", type: "bare", subnet: 1, config: { master: "late0" } }]),
      pod("waits", { claims: ["lan"] }),
    );
    await space.assertEvent(
      "waits",
      /network "lan" \(interface net1, claim [^)]+\) is not ready: .*Link not found/,
    );
    await ip(["link", "add", "late0", "type", "veth", "peer", "name", "late1"]);
    try {
      for (const name of ["late0", "late1"]) await ip(["link", "set", name, "up"]);
      await space.assertNetwork(await space.running("waits"), { subnet: 1 });
    } finally {
      await ip(["link", "delete", "late0"]);
    }
  },

  "a pod on the host's network": async (space) => {
    const { spec, ...rest } = pod("host", { claims: ["lan"] });
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), {
      ...rest,
      spec: { ...spec as object, hostNetwork: true },
    });
    await space.assertEvent("host", /uses the host's network/);
  },

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
    await space.assertEvent("one", /^Failed: .*is not ready: .*the uplink is down/);
    await space.assertEvent("one", /^NetworkAttachFailed: .*the uplink is down/);
    const [condition] = await until("the claim's status tells of it", async () => {
      return (await space.get("ResourceClaim", "lan")).status.devices?.[0].conditions;
    });
    assert.equal(condition.status, "False");
    assert.match(condition.message, /the uplink is down/);
    await Deno.writeTextFile(mark, "");
    await space.assertNetwork(await space.running("one"), { subnet: 1 });
  },
};
