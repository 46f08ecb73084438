import { type Command, EXIT_CODES } from "../command.ts";
import * as take from "../settings.ts";
import { OUTPUT_FLAG, outputFlag } from "./output_flag.ts";

/** The flags that select the cluster and limit the time. They have kubectl's names. */
export const CLUSTER_FLAGS = {
  kubeconfig: {
    name: "kubeconfig",
    env: "KUBECONFIG",
    takes: "PATH",
    path: "file",
    help:
      "Kubeconfig. The variable can name several files, as for kubectl. Without one in a pod, " +
      "the pod's ServiceAccount is used.",
    defaultIs: "~/.kube/config",
    parse: take.name,
  },
  context: {
    name: "context",
    takes: "NAME",
    help: "Context of the kubeconfig.",
    defaultIs: "the current one",
    parse: take.name,
  },
  driverName: {
    name: "driver-name",
    takes: "NAME",
    help: "Name of the DRA driver.",
    defaultIs: "the one that the agents run with",
    parse: take.driverName,
  },
  requestTimeout: {
    name: "request-timeout",
    takes: "TIME",
    help: "How long the API server may take for one answer.",
    default: "10s",
    parse: take.duration,
  },
} as const;

const NAMESPACE_FLAGS = {
  namespace: {
    name: "namespace",
    short: "n",
    takes: "NAME",
    help: "Namespace of the pods and claims.",
    defaultIs: "that of the context",
    parse: take.name,
  },
} as const;

const ALL_FLAG = {
  allNamespaces: {
    name: "all-namespaces",
    short: "A",
    help: "Show all namespaces.",
    default: "false",
    parse: take.yesOrNo,
  },
} as const;

const RIGHTS =
  "Reads the cluster with your own kubeconfig and rights, and changes nothing. What you " +
  "may not read is left out, and the output says so.";

/** Exit codes that the commands for the cluster have in common. */
const CODES = {
  1: "The cluster could not be read, or no object has the name.",
  2: EXIT_CODES[2],
} as const;

export const CLUSTER_STATUS = {
  name: "cluster-status",
  summary: "Show the agents, devices, networks and claims of a cluster.",
  description: [
    "Shows what is wrong first, then the agents by version, the devices and their use, the networks, " +
    "and the claims by state. " + RIGHTS,
    "As a kubectl plugin it is `kubectl network-dra status`.",
  ],
  flags: {
    ...CLUSTER_FLAGS,
    ...OUTPUT_FLAG,
    wait: {
      name: "wait",
      help: "Wait until nothing is wrong.",
      default: "false",
      parse: take.yesOrNo,
    },
    timeout: {
      name: "timeout",
      takes: "TIME",
      help: "How long --wait waits.",
      default: "5m",
      parse: take.duration,
    },
  },
  examples: [
    { what: "Show a cluster:", line: "network-dra cluster-status" },
    {
      what: "Wait after an update until all agents and networks are well:",
      line: "network-dra cluster-status --wait --timeout 10m",
    },
  ],
  exitCodes: {
    0: "Nothing is wrong.",
    ...CODES,
    3: "Something is wrong; it is listed first. With --wait: it was still wrong at the time limit.",
  },
} as const satisfies Command;

export const PODS = {
  name: "pods",
  summary: "Show which pod of a cluster has which network.",
  description: [
    "Shows each pod with its networks: interface, addresses and state. " + RIGHTS,
  ],
  flags: { ...NAMESPACE_FLAGS, ...ALL_FLAG, ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  examples: [
    { what: "The pods of the context's namespace:", line: "kubectl network-dra pods" },
    {
      what: "All pods, with MAC addresses, devices and causes:",
      line: "kubectl network-dra pods -A -o wide",
    },
    { what: "For a program:", line: "kubectl network-dra pods -A -o json | jq '.items[].name'" },
  ],
  exitCodes: { 0: "The pods are shown.", ...CODES },
} as const satisfies Command;

export const NETWORKS = {
  name: "networks",
  summary: "Show the networks of a cluster and who uses them.",
  description: [
    "Shows each network that claims and DeviceClasses name: its plugins, its classes, and how many " +
    "attachments are in each state. " + RIGHTS,
  ],
  flags: { ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  examples: [{ what: "The networks of a cluster:", line: "kubectl network-dra networks" }],
  exitCodes: { 0: "The networks are shown.", ...CODES },
} as const satisfies Command;

export const DEVICES = {
  name: "devices",
  summary: "Show the devices of a cluster and their use.",
  description: [
    "Shows the devices that the agents publish: type, state, MTU, and how many attachments each has. " +
    RIGHTS,
  ],
  flags: {
    node: {
      name: "node",
      takes: "NAME",
      help: "Show only the devices of this node.",
      parse: take.name,
    },
    ...OUTPUT_FLAG,
    ...CLUSTER_FLAGS,
  },
  examples: [
    {
      what: "The devices of a node, with the claims that use them:",
      line: "kubectl network-dra devices --node node-1 -o wide",
    },
  ],
  exitCodes: { 0: "The devices are shown.", ...CODES },
} as const satisfies Command;

export const EXPLAIN = {
  name: "explain",
  summary: "Show why a pod or a claim has its network, or why not.",
  description: [
    "Follows a network from the claim through its DeviceClass, the allocation, the node, Prepare and " +
    "the CNI plugins to the claim's status. Shows the step at which it hangs, the message that says " +
    "why, and what to do. " + RIGHTS,
  ],
  argument: {
    name: "pod/NAME|claim/NAME",
    help: "The pod or the claim. NAME alone is a pod; NAMESPACE/NAME names the namespace, too.",
    least: 1,
    most: 1,
  },
  flags: { ...NAMESPACE_FLAGS, ...ALL_FLAG, ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  examples: [
    { what: "Why a pod does not start:", line: "kubectl network-dra explain pod/web" },
    {
      what: "A claim of another namespace:",
      line: "kubectl network-dra explain -n shop claim/lan",
    },
    { what: "A pod, wherever it is:", line: "kubectl network-dra explain -A pod/web" },
  ],
  exitCodes: {
    0: "All networks are attached.",
    ...CODES,
    3: "A network is missing; the step at which it hangs is shown.",
  },
} as const satisfies Command;

export const DOCTOR = {
  name: "doctor",
  summary: "Check a cluster before and after the driver is installed.",
  description: [
    "Checks what networks need: the API and its feature gates, rights and admission policies, the " +
    "agents and what they say of themselves, versions, the container runtimes' NRI and CDI, the " +
    "plugins of all networks of classes and templates on the nodes where their pods can land, the " +
    "agents' policies, claims, records without a pod, MTUs, and clocks. Says of each fault where it " +
    "is, how bad, and how to mend it. What cannot be looked at is listed and does not count as well.",
    "Where no agent runs yet, it checks whether one could: a preflight. Uses your own kubeconfig and " +
    "rights, and changes nothing. Asks each agent for its status, as kubectl exec does.",
  ],
  flags: {
    node: {
      name: "node",
      takes: "NAME",
      help: "Check this node alone, and what concerns the whole cluster.",
      parse: take.name,
    },
    ...outputFlag("How to print it.", "text", "json"),
    ...CLUSTER_FLAGS,
    agentTimeout: {
      name: "agent-timeout",
      takes: "TIME",
      help: "How long an agent may take to tell its status.",
      default: "20s",
      parse: take.duration,
    },
  },
  examples: [
    { what: "Before and after the driver is installed:", line: "kubectl network-dra doctor" },
    { what: "One node:", line: "kubectl network-dra doctor --node node-1" },
    {
      what: "Only what is wrong, for a program:",
      line: "kubectl network-dra doctor -o json | jq '.checks[].findings[]'",
    },
  ],
  exitCodes: {
    0: "Everything was looked at, and nothing is wrong.",
    1: "The cluster could not be read, or it has no node of that name.",
    2: EXIT_CODES[2],
    3: "Something is wrong: an error or a warning.",
    4: "Nothing was found to be wrong, but not everything could be looked at.",
  },
} as const satisfies Command;
