import { type Command, EXIT_CODES } from "../command.ts";
import { CLUSTER_FLAGS } from "./cluster.ts";
import * as take from "../settings.ts";
import { outputFlag } from "./output_flag.ts";

export const TEST = {
  name: "test",
  summary: "Test a network between pods of a cluster.",
  description: [
    "Creates two pods with a network and one without, on two nodes or on one, and measures: whether " +
    "the interface and its addresses are as the claim's status says, whether the pods reach each " +
    "other both ways by IPv4 and IPv6, the path MTU, the throughput, whether the pod without the " +
    "network is kept out, and the time from a pod's creation to its first packet. Prints a table " +
    "and, for what failed, what to do.",
    "All of it is in a new namespace, which is removed at the end, also after Ctrl-C. The " +
    "pods run the image of network-dra without privileges. Uses your kubeconfig and your rights.",
    "Without --network, --config and --class, the network is macvlan on an interface that the " +
    "driver publishes on two nodes under one name.",
  ],
  flags: {
    network: {
      name: "network",
      takes: "NAME",
      help: "Test a network that the administrator has defined on the nodes.",
      parse: take.name,
    },
    config: {
      name: "config",
      takes: "PATH",
      path: "file",
      help: "Test the network of this file: parameters of a claim, or a CNI configuration.",
      parse: take.filePath,
    },
    class: {
      name: "class",
      takes: "NAME",
      help: "DeviceClass of the claims. Alone, it tests the network that the class configures.",
      defaultIs: "the chart's for such a network",
      parse: take.name,
    },
    interface: {
      name: "interface",
      takes: "NAME",
      help: "Interface of the nodes for the macvlan network.",
      defaultIs: "the first one that both nodes publish",
      parse: take.name,
    },
    ipFamilies: {
      name: "ip-families",
      takes: "FAMILIES",
      help: "Addresses of the macvlan network.",
      default: "dual",
      parse: take.oneOf("dual", "ipv4", "ipv6"),
    },
    nodes: {
      name: "nodes",
      takes: "NODE[,NODE]",
      help: "Nodes of the pods. One node gets all of them.",
      defaultIs: "two nodes that are ready",
      parse: nodeNames,
    },
    routed: {
      name: "routed",
      help:
        "The network can be reached from outside: do not test that a pod without it is kept out.",
      default: "false",
      parse: take.yesOrNo,
    },
    keep: {
      name: "keep",
      help: "Keep what was created, and print how to remove it.",
      default: "false",
      parse: take.yesOrNo,
    },
    timeout: {
      name: "timeout",
      takes: "DURATION",
      help: "How long the pods may take to start.",
      default: "2m",
      parse: take.duration,
    },
    ...outputFlag("Format of the report.", "text", "json"),
    image: {
      name: "image",
      takes: "IMAGE",
      help: "Image of the pods: network-dra's.",
      defaultIs: "that of the agent's pods",
      parse: take.name,
    },
    pullPolicy: {
      name: "pull-policy",
      takes: "POLICY",
      help: "When the nodes pull the image.",
      default: "IfNotPresent",
      parse: take.oneOf("Always", "IfNotPresent", "Never"),
    },
    imagePullSecret: {
      name: "image-pull-secret",
      takes: "NAME",
      help: "Secret of the namespace for the image's registry; needs --namespace.",
      parse: take.name,
    },
    ...CLUSTER_FLAGS,
    namespace: {
      name: "namespace",
      short: "n",
      takes: "NAME",
      help:
        "Namespace to test in, for users who may not create one. Only what the test creates there " +
        "is removed.",
      defaultIs: "a new one",
      parse: take.name,
    },
  },
  examples: [
    { what: "Test a macvlan network between two nodes:", line: "kubectl network-dra test" },
    {
      what: "Test a network as claims describe it, and keep the pods:",
      line: "kubectl network-dra test --config lan.yaml --keep",
    },
    {
      what: "Test the network that a DeviceClass configures, between these nodes:",
      line: "kubectl network-dra test --class storage --nodes node-1,node-2",
    },
  ],
  exitCodes: {
    0: "The network passed all checks.",
    1: "A check failed, or the test could not be carried out.",
    2: EXIT_CODES[2],
  },
} as const satisfies Command;

/** Names of one node or of two different ones. @throws Error */
function nodeNames(text: string): readonly string[] {
  const names = text.split(",");
  if (names.every((name) => /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) && names.length <= 2) {
    if (new Set(names).size === names.length) return names;
  }
  throw new Error("the name of a node, or two names with a comma between them");
}
