import { addresses, ips, ownRange, rangeSets } from "./policy_addresses.ts";
import {
  anyValue,
  bridge,
  capabilities,
  type Check,
  closed,
  flag,
  mac,
  master,
  mode,
  mtu,
  number,
  off,
  sysctls,
  wholeInterface,
} from "./policy_checks.ts";

/** The fields of a plugin, with what claims may say in each. */
export interface BuiltinPlugin {
  readonly fields: Readonly<Record<string, Check>>;
  /** Fields that are checked even where they are left out, for the plugin then chooses itself. */
  readonly needed?: readonly string[];
}

const PATH = "it is a path on the node, which the plugin opens as root";
const NODE_FILTER = "it changes the node's packet filter";
const MODE_OF_ALL = "the mode applies to all pods on the interface";
const GATEWAY = "the node would take the gateway's address and forward packets";
const BRIDGE_OF_ALL = "it changes the bridge for everything that uses it";
const FORGED = "only the runtime may set it, not a claim";

/** What every plugin has (CNI SPEC, section 1). */
export const COMMON: Readonly<Record<string, Check>> = {
  // The list's go before those of a plugin.
  name: anyValue,
  cniVersion: anyValue,
  capabilities,
  // What it says goes into the result, and no further.
  dns: anyValue,
  args: closed(FORGED),
  runtimeConfig: closed(FORGED),
  prevResult: closed(FORGED),
};

const IN_CONTAINER = off("plugins before 1.3 ignore it and take the node's interface");
const PROMISCUOUS = "the interface below it then receives traffic for other machines";

/** Plugins that claims may use, with all their fields as of the reference plugins 1.9.1. */
export const PLUGINS: Readonly<Record<string, BuiltinPlugin>> = {
  macvlan: {
    fields: {
      ...COMMON,
      master,
      mode: mode(["", "bridge", "private", "vepa"], {
        passthru: "it receives all traffic of the interface, including the node's own",
      }),
      mtu,
      mac,
      linkInContainer: IN_CONTAINER,
      bcqueuelen: closed("it changes the interface's queue for everything that uses it"),
    },
    needed: ["master"],
  },
  ipvlan: {
    fields: {
      ...COMMON,
      master,
      mode: mode(["", "l2"], { l3: MODE_OF_ALL, l3s: MODE_OF_ALL }),
      mtu,
      linkInContainer: IN_CONTAINER,
    },
    needed: ["master"],
  },
  vlan: {
    fields: { ...COMMON, master, vlanId: number(0, 4094), mtu, linkInContainer: IN_CONTAINER },
    needed: ["master"],
  },
  bridge: {
    fields: {
      ...COMMON,
      bridge,
      isGateway: off(GATEWAY),
      isDefaultGateway: off(GATEWAY),
      forceAddress: off("the bridge would lose its addresses"),
      ipMasq: off(NODE_FILTER),
      ipMasqBackend: closed(NODE_FILTER),
      mtu,
      hairpinMode: flag,
      promiscMode: off(BRIDGE_OF_ALL),
      vlan: closed("it joins whatever network has that VLAN on the bridge"),
      vlanTrunk: closed("it joins whatever networks have those VLANs on the bridge"),
      preserveDefaultVlan: anyValue,
      macspoofchk: off(NODE_FILTER),
      enabledad: flag,
      disableContainerInterface: flag,
      portIsolation: flag,
    },
    needed: ["bridge"],
  },
  ptp: {
    fields: {
      ...COMMON,
      ipMasq: off(NODE_FILTER),
      ipMasqBackend: closed(NODE_FILTER),
      mtu,
    },
  },
  tap: {
    fields: {
      ...COMMON,
      multiQueue: flag,
      mtu,
      mac,
      owner: number(0, 4_294_967_295),
      group: number(0, 4_294_967_295),
      selinuxContext: closed("the plugin would run a program of the node under that label"),
      bridge: closed("no interface of the pod is a bridge"),
    },
  },
  dummy: { fields: COMMON },
  "host-device": {
    fields: {
      ...COMMON,
      device: wholeInterface,
      hwaddr: closed("the allocated device already determines the interface"),
      kernelpath: closed(PATH),
      pciBusID: closed("the allocated device already determines the interface"),
      DPDKMode: closed("the plugin detects it itself"),
    },
    needed: ["device"],
  },
  tuning: {
    fields: {
      ...COMMON,
      sysctl: sysctls,
      mac,
      mtu,
      txQLen: number(0, 1_000_000),
      promisc: off(PROMISCUOUS),
      allmulti: off(PROMISCUOUS),
      dataDir: closed(PATH),
    },
  },
  bandwidth: {
    fields: {
      ...COMMON,
      ingressRate: anyValue,
      ingressBurst: anyValue,
      egressRate: anyValue,
      egressBurst: anyValue,
    },
  },
  sbr: {
    fields: { ...COMMON, table: anyValue, gateways: anyValue, addSourceHints: flag },
  },
};

/** IPAM plugins that claims may use, with all their fields. */
export const IPAM: Readonly<Record<string, BuiltinPlugin>> = {
  "host-local": {
    fields: {
      ranges: rangeSets,
      subnet: ownRange,
      // Checked with the subnet, without which they mean nothing.
      rangeStart: anyValue,
      rangeEnd: anyValue,
      gateway: anyValue,
      // Routes are set in the pod.
      routes: anyValue,
      dataDir: closed(PATH),
      resolvConf: closed(PATH),
      name: closed("it is always the network's name"),
    },
  },
  static: { fields: { addresses, routes: anyValue, dns: anyValue } },
  dhcp: {
    fields: {
      request: anyValue,
      priority: anyValue,
      provide: closed(
        "a claim that names the client identifier of another machine would get its address",
      ),
      daemonSocketPath: closed(PATH),
    },
  },
};

/** Plugins that are known, and why claims may not use them. */
export const CLOSED_PLUGINS: Readonly<Record<string, string>> = {
  portmap: NODE_FILTER,
  firewall: NODE_FILTER,
  multus: "its configuration names files, folders and plugins of the node",
  sriov: "it can use any virtual function of the node, and set its VLAN, trust and spoof check",
  ovs: "it can use any port and VLAN of the node's Open vSwitch",
  whereabouts: "its configuration names files of the node, such as a log and a kubeconfig",
};

/** Arguments that claims hand to plugins which ask for them. */
export const CAPABILITIES: Readonly<Record<string, Check>> = {
  ips,
  mac,
  bandwidth: anyValue,
  portMappings: closed("it opens ports on the node"),
};

/**
 * Names that clusters' own networks have on nodes: host-local keeps addresses by the network's name,
 * so another network with that name would use them up.
 */
export const CLUSTER_NETWORKS: readonly string[] = [
  "antrea",
  "aws-cni",
  "azure",
  "cbr0",
  "cilium",
  "cni0",
  "containerd-net",
  "crio",
  "gke-*",
  "k8s-pod-network",
  "kindnet",
  "kube-*",
  "kubenet",
  "ovn-kubernetes",
  "podman",
  "weave",
];
