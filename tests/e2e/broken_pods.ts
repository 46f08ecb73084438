/** Pods whose network is missing, each for one reason, on two nodes: for the cases and for the docs. */
import { ip } from "../../mod/simulator/private_node.ts";
import { agentOf } from "./agents/daemonset_agent.ts";
import { NODE, SECOND_NODE } from "./cluster.ts";
import { claim, claimWith, deviceClass, parametersOf, pod } from "./objects.ts";
import { until } from "./poll.ts";
import type { Space } from "./space.ts";

/** A fault of a cluster, and what is to be said of it. */
export interface Fault {
  readonly name: string;
  /** What is wrong, for a reader who has not seen it. */
  readonly story: string;
  /** The pod whose network is missing. */
  readonly pod: string;
  /** Runs `body` while the fault is to be seen, and mends what is not the pod's own. */
  during(space: Space, body: () => Promise<void>): Promise<void>;
  /** Flags of the commands. */
  readonly flags?: readonly string[];
  /** The cluster tells nothing: the agent of the pod's node is asked, too. */
  readonly asksNode?: true;
  /** What `explain` must say: the cause and what to do. */
  readonly explained: readonly RegExp[];
  /** What `doctor` must say. */
  readonly diagnosed: readonly RegExp[];
}

/** The check of attached networks runs each minute. */
const CHECK_LIMIT = 90_000;
/** The kubelet removes the slices of a driver that has been gone for half a minute. */
const SLICES_LIMIT = 90_000;
const INTERFACE = "lan9";

export const FAULTS: readonly Fault[] = [
  {
    name: "missing plugin",
    story: "The claim's network uses a CNI plugin that its node does not have.",
    pod: "no-plugin",
    during: async (space, body) => {
      await space.apply(
        claim("no-plugin", [{ name: "lan", type: "late", subnet: 1 }]),
        pod("no-plugin", { claims: ["no-plugin"], node: NODE }),
      );
      await space.assertEvent("no-plugin", /FailedPrepareDynamicResources: .*"late"/);
      await body();
    },
    explained: [
      /: hangs at prepare$/m,
      /^ {2}cause: +a CNI plugin is missing on the node$/m,
      /^ {2}to do: +install the plugin on the node/m,
    ],
    diagnosed: [
      /✗ claim \S+\/no-plugin: .*a CNI plugin is missing on the node: .*"late"/,
      /to do: install the plugin on the node/,
    ],
  },
  {
    name: "exhausted addresses",
    story: "The range of the network has one address, and another pod of the node has it.",
    pod: "second",
    during: async (space, body) => {
      const range = { subnet: "10.10.3.0/24", rangeStart: "10.10.3.5", rangeEnd: "10.10.3.5" };
      const config = { ipam: { type: "host-local", ranges: [[range]] } };
      const network = { name: "small", subnet: 3, config };
      await space.apply(
        claim("first", [network]),
        pod("first", { claims: ["first"], node: NODE }),
      );
      await space.running("first");
      await space.apply(
        claim("second", [network]),
        pod("second", { claims: ["second"], node: NODE }),
      );
      await space.assertEvent("second", /^NetworkAttachFailed: .*no IP addresses available/);
      await until("the claim's status says so", async () => {
        return (await space.get("ResourceClaim", "second"))?.status?.devices?.[0]?.conditions?.[0]
              ?.status === "False" || undefined;
      });
      await body();
    },
    explained: [
      /: hangs at attach$/m,
      /^ {2}cause: +all addresses of the range are in use on the node$/m,
      /^ {2}to do: +use a larger range/m,
    ],
    diagnosed: [
      /✗ claim \S+\/second: .*all addresses of the range are in use on the node/,
      /to do: use a larger range/,
    ],
  },
  {
    name: "refused by policy",
    story: "The claim names a parent interface that the administrator's policy does not allow.",
    pod: "refused",
    during: async (space, body) => {
      await space.apply(
        claim("refused", [{ name: "lan", subnet: 1, config: { master: "lo" } }]),
        pod("refused", { claims: ["refused"], node: NODE }),
      );
      await space.assertEvent("refused", /NetworkRefusedByPolicy/);
      await body();
    },
    explained: [
      /: hangs at prepare$/m,
      /^ {2}cause: +the administrator's policy does not allow what the claim asks for$/m,
      /^ {2}to do: +remove the field that the message names/m,
    ],
    diagnosed: [
      /✗ claim \S+\/refused: .*the administrator's policy does not allow/,
      /to do: remove the field that the message names/,
    ],
  },
  {
    name: "interface gone",
    story:
      `The interface ${INTERFACE} of the node, on which the network of a running pod lies, is ` +
      "removed.",
    pod: "cut-off",
    during: async (space, body) => {
      await withLink(async (remove) => {
        const parameters = parametersOf({ name: "lan9", subnet: 9, config: { master: INTERFACE } });
        const requests = [{ name: "lan", exactly: { deviceClassName: "lan9" } }];
        await space.apply(
          deviceClass({ name: "lan9", parameters }),
          claimWith("cut-off", { devices: { requests } }),
          pod("cut-off", { claims: ["cut-off"], node: NODE }),
        );
        await space.assertNetwork(await space.running("cut-off"), { subnet: 9 });
        await remove();
        await until("the claim's status says so", async () => {
          return (await space.get("ResourceClaim", "cut-off"))?.status?.devices?.[0]
                ?.conditions?.[0]?.status === "False" || undefined;
        }, { limit: CHECK_LIMIT });
        await body();
      });
    },
    explained: [
      /: hangs at status$/m,
      /the network is no longer as it was attached/,
      /^ {2}said: +claim: (?:NetworkInterfaceLost|DeviceRemoved): /m,
      /^ {2}cause: +the interface of the pod is gone, or the node's below it/m,
      /^ {2}to do: +bring the node's interface back/m,
    ],
    diagnosed: [
      /✗ claim \S+\/cut-off: the network is no longer as it was attached on node node-1/,
      /to do: bring the node's interface back/,
    ],
  },
  {
    name: "agent away",
    story: "Someone changed the nodeSelector of the DaemonSet, so that no agent runs on the node " +
      "on which the pod must run.",
    pod: "agentless",
    during: async (space, body) => {
      await agentOf(space.cluster).onlyOn(NODE, async () => {
        await until("the other node has no devices", async () => {
          const slices = await space.cluster.slices();
          return !slices.some(({ spec }) => spec.nodeName === SECOND_NODE) || undefined;
        }, { limit: SLICES_LIMIT });
        await space.apply(
          claim("agentless", [{ name: "lan", subnet: 1 }]),
          pod("agentless", { claims: ["agentless"], node: SECOND_NODE }),
        );
        await space.assertEvent("agentless", /^FailedScheduling: /);
        await body();
        await space.delete("Pod", "agentless");
      });
    },
    explained: [
      /: hangs at allocation$/m,
      /no agent runs on node node-2/,
      /^ {2}to do: .*nodeSelector/m,
    ],
    diagnosed: [
      /✗ claim \S+\/agentless: .*no agent runs on node node-2/,
      /to do: .*nodeSelector/,
    ],
  },
  {
    name: "API away",
    story: "The API server takes connections and answers nothing. Pods that run keep their " +
      "networks, and the node's own agent still tells of them (the last command).",
    pod: "steady",
    during: async (space, body) => {
      await space.apply(
        claim("steady", [{ name: "lan", subnet: 1 }]),
        pod("steady", { claims: ["steady"], node: NODE }),
      );
      await space.assertNetwork(await space.running("steady"), { subnet: 1 });
      await space.cluster.whileApiServerHangs(body);
    },
    flags: ["--request-timeout", "3s"],
    asksNode: true,
    explained: [/no answer from https:\S+: timed out; see whether the API server runs/],
    diagnosed: [/no answer from https:\S+: timed out; see whether the API server runs/],
  },
];

/** Runs `body` while the node has the interface, until it is removed. */
async function withLink(body: (remove: () => Promise<void>) => Promise<void>): Promise<void> {
  let there = true;
  const remove = async () => {
    if (there) await ip(["link", "delete", INTERFACE]);
    there = false;
  };
  try {
    await ip(["link", "add", INTERFACE, "type", "veth", "peer", "name", `${INTERFACE}p`]);
    for (const end of [INTERFACE, `${INTERFACE}p`]) await ip(["link", "set", end, "up"]);
    await body(remove);
  } finally {
    await remove();
  }
}
