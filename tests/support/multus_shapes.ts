/** Networks and workloads for Multus as they are found in the world, and what comes of them. */

/** A shape of NetworkAttachmentDefinition and workload. */
export interface Shape {
  readonly name: string;
  /** Objects for Multus. */
  readonly yaml: string;
  /**
   * The interfaces that Multus makes, with their addresses, each pod's in order; a pattern where any
   * address of a range will do. Absent where the kernel of the machines of the tests cannot make them:
   * such a shape is migrated and linted only.
   */
  readonly interfaces?: readonly (readonly (string | RegExp)[])[];
  /** What a person must decide or do, a pattern each. */
  readonly decide?: readonly RegExp[];
  /** The file for `--selectors`. */
  readonly selectors?: string;
  /** Interfaces of the node besides eth0. */
  readonly nodeInterfaces?: readonly string[];
  /** Files of the agent's networkDir. */
  readonly networks?: Readonly<Record<string, string>>;
}

/** A NetworkAttachmentDefinition. */
export function definition(
  name: string,
  config: unknown,
  metadata: Readonly<Record<string, unknown>> = {},
): string {
  return JSON.stringify({
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: { name, ...metadata },
    ...(config !== undefined && {
      spec: { config: typeof config === "string" ? config : JSON.stringify(config) },
    }),
  }) + "\n---\n";
}

const NETWORKS = "k8s.v1.cni.cncf.io/networks";
const container = { name: "main", image: "busybox", command: ["sleep", "infinity"] };

/** The annotation's value: text, or the elements of its JSON form. */
type Networks = string | readonly Readonly<Record<string, unknown>>[];

function annotations(networks: Networks) {
  return { [NETWORKS]: typeof networks === "string" ? networks : JSON.stringify(networks) };
}

/** A pod with the annotation. */
export function pod(
  name: string,
  networks: Networks,
  { metadata = {}, spec = {} }: {
    readonly metadata?: Readonly<Record<string, unknown>>;
    readonly spec?: Readonly<Record<string, unknown>>;
  } = {},
): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, annotations: annotations(networks), ...metadata },
    spec: { containers: [container], ...spec },
  }) + "\n---\n";
}

/** A workload with the annotation in the template of its pods. */
export function workload(
  kind: "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" | "CronJob",
  { name, networks, spec = {}, podSpec = {} }: {
    readonly name: string;
    readonly networks: Networks;
    readonly spec?: Readonly<Record<string, unknown>>;
    readonly podSpec?: Readonly<Record<string, unknown>>;
  },
): string {
  const isBatch = kind.endsWith("Job");
  const template = {
    metadata: { labels: { app: name }, annotations: annotations(networks) },
    spec: { containers: [container], ...(isBatch && { restartPolicy: "Never" }), ...podSpec },
  };
  const own = isBatch
    ? { template, ...spec }
    : { selector: { matchLabels: { app: name } }, template, ...spec };
  return JSON.stringify({
    apiVersion: isBatch ? "batch/v1" : "apps/v1",
    kind,
    metadata: { name },
    spec: kind === "CronJob" ? { schedule: "0 3 * * *", jobTemplate: { spec: own } } : own,
  }) + "\n---\n";
}

const hostLocal = (subnet: string) => ({ type: "host-local", ranges: [[{ subnet }]] });
const macvlan = { type: "macvlan", master: "eth0", mode: "bridge" };

const WHEREABOUTS = /whereabouts does not know of what the agents give/;
const DUAL = /^data0 10\.51\.16\.(227|23[234578])\/28 fd51:16::[0-9a-f:]+\/64$/;
const BARE_POD = /delete the pod and create it again/;

/** Public shapes. No two have the same workload or network, so that all run on one node. */
export const SHAPES: readonly Shape[] = [
  {
    name: "macvlan with host-local, one plugin, a bare pod",
    yaml: definition("macvlan-conf", {
      cniVersion: "0.3.1",
      ...macvlan,
      ipam: {
        type: "host-local",
        subnet: "10.51.1.0/24",
        rangeStart: "10.51.1.200",
        rangeEnd: "10.51.1.216",
        routes: [{ dst: "10.99.0.0/16" }],
        gateway: "10.51.1.1",
      },
    }) + pod("samplepod", "macvlan-conf"),
    interfaces: [["net1 10.51.1.200/24"]],
    decide: [BARE_POD],
  },
  {
    name: "macvlan with static addresses, in a Deployment",
    yaml: definition("static", {
      cniVersion: "1.0.0",
      name: "static",
      plugins: [{
        ...macvlan,
        ipam: { type: "static", addresses: [{ address: "10.51.2.10/24", gateway: "10.51.2.1" }] },
      }],
    }) + workload("Deployment", { name: "web", networks: "static@lan0" }),
    interfaces: [["lan0 10.51.2.10/24"]],
  },
  {
    name: "a bridge of the node, IPv4 and IPv6, in a DaemonSet",
    yaml: definition("br", {
      cniVersion: "1.0.0",
      name: "br",
      type: "bridge",
      bridge: "br-mig",
      isGateway: true,
      ipam: {
        type: "host-local",
        ranges: [[{ subnet: "10.51.3.0/24" }], [{ subnet: "fd51:3::/64" }]],
      },
    }) + workload("DaemonSet", { name: "node-local", networks: "br" }),
    interfaces: [["net1 10.51.3.2/24 fd51:3::2/64"]],
  },
  {
    name: "ipvlan in layer 2, in a StatefulSet of two",
    yaml: definition("ipvlan", {
      cniVersion: "0.4.0",
      name: "ipvlan",
      type: "ipvlan",
      master: "eth0",
      mode: "l2",
      ipam: hostLocal("10.51.4.0/24"),
    }) + workload("StatefulSet", {
      name: "db",
      networks: [{ name: "ipvlan" }],
      spec: { replicas: 2, serviceName: "db" },
    }),
  },
  {
    name: "host-device by its name",
    yaml: definition("hostdev", {
      cniVersion: "0.3.1",
      name: "hostdev",
      type: "host-device",
      device: "eth1",
      ipam: { type: "static", addresses: [{ address: "10.51.5.5/24" }] },
    }) + pod("appliance", [{ name: "hostdev", interface: "wan" }]),
    interfaces: [["wan 10.51.5.5/24"]],
    nodeInterfaces: ["eth1"],
    decide: [BARE_POD],
  },
  {
    name: "SR-IOV by a resource name, with a selector",
    yaml: definition("sriov", {
      cniVersion: "0.3.1",
      name: "sriov",
      type: "sriov",
      ipam: hostLocal("10.51.6.0/24"),
    }, { annotations: { "k8s.v1.cni.cncf.io/resourceName": "intel.com/sriov" } }) +
      workload("Deployment", {
        name: "fast",
        networks: "sriov",
        podSpec: {
          containers: [{
            ...container,
            resources: { limits: { "intel.com/sriov": "1" }, requests: { "intel.com/sriov": "1" } },
          }],
        },
      }),
    selectors:
      `intel.com/sriov: device.attributes["dra.networking"].interface.startsWith("ens1f0v")\n`,
    nodeInterfaces: ["ens1f0v0"],
    interfaces: [["net1 10.51.6.2/24"]],
    decide: [/host-device moves the virtual function/],
  },
  {
    name: "a chain of macvlan, tuning and source-based routing, in a Job",
    yaml: definition("chain", {
      cniVersion: "0.4.0",
      name: "chain",
      plugins: [
        { ...macvlan, ipam: hostLocal("10.51.7.0/24") },
        { type: "tuning", sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" }, mtu: 1400 },
        { type: "sbr" },
      ],
    }) + workload("Job", { name: "batch", networks: "chain" }),
    interfaces: [["net1 10.51.7.2/24"]],
    decide: [/delete the Job/],
  },
  {
    name: "a chain of bridge, bandwidth and portmap with arguments of the annotation",
    yaml: definition("ports", {
      cniVersion: "1.0.0",
      name: "ports",
      plugins: [
        { type: "bridge", bridge: "br-ports", isGateway: true, ipam: hostLocal("10.51.8.0/24") },
        { type: "bandwidth", capabilities: { bandwidth: true } },
        { type: "portmap", capabilities: { portMappings: true }, backend: "nftables" },
      ],
    }) + workload("Deployment", {
      name: "ingress",
      networks: [{
        name: "ports",
        interface: "in0",
        bandwidth: { ingressRate: 1000000, ingressBurst: 80000 },
        portMappings: [{ hostPort: 18080, containerPort: 80, protocol: "tcp" }],
      }],
    }),
    interfaces: [["in0 10.51.8.2/24"]],
  },
  {
    name: "a configuration that stands in a file on the node",
    yaml: definition("by-file", undefined) +
      workload("Deployment", { name: "old", networks: "by-file" }),
    networks: {
      "by-file.conflist": JSON.stringify({
        cniVersion: "1.0.0",
        name: "by-file",
        plugins: [{ ...macvlan, ipam: hostLocal("10.51.9.0/24") }],
      }),
    },
    interfaces: [["net1 10.51.9.2/24"]],
    decide: [/copy it from \/etc\/cni\/multus\/net\.d/],
  },
  {
    name: "several networks as JSON, of another namespace, some named, one twice",
    yaml: definition("a", { cniVersion: "1.0.0", ...macvlan, ipam: hostLocal("10.51.10.0/24") }) +
      definition("b", { cniVersion: "1.0.0", ...macvlan, ipam: hostLocal("10.51.11.0/24") }, {
        namespace: "infra",
      }) +
      workload("ReplicaSet", {
        name: "many",
        networks: [
          { name: "a" },
          { name: "b", namespace: "infra", interface: "storage" },
          { name: "a" },
        ],
      }),
    interfaces: [["net1 10.51.10.2/24", "storage 10.51.11.2/24", "net3 10.51.10.3/24"]],
    decide: [/A ReplicaSet does not replace its pods/],
  },
  {
    name: "a default route by the network",
    yaml: definition("gw", { cniVersion: "1.0.0", ...macvlan, ipam: hostLocal("10.51.12.0/24") }) +
      workload("Deployment", {
        name: "egress",
        networks: [{ name: "gw", "default-route": ["10.51.12.1"] }],
      }),
    interfaces: [["net1 10.51.12.2/24"]],
  },
  {
    name: "a fixed address and MAC address by an IPAM static that declares nothing",
    yaml: definition("fixed", { cniVersion: "0.3.1", ...macvlan, ipam: { type: "static" } }) +
      workload("StatefulSet", {
        name: "kept",
        networks: [{
          name: "fixed",
          ips: ["10.51.13.13/24", "fd51:13::13/64"],
          mac: "02-00-00-00-51-13",
        }],
        spec: { serviceName: "kept" },
      }),
    interfaces: [["net1 10.51.13.13/24 fd51:13::13/64"]],
  },
  {
    name: "arguments of the annotation for plugins (cni-args), in a CronJob",
    yaml: definition("args", { cniVersion: "1.0.0", ...macvlan, ipam: { type: "static" } }) +
      workload("CronJob", {
        name: "nightly",
        networks: [{ name: "args", "cni-args": { ips: ["10.51.14.14/24"] } }],
      }),
    interfaces: [["net1 10.51.14.14/24"]],
  },
  {
    name: "Rook: addresses of the whole cluster by whereabouts, for pods of other namespaces",
    yaml: definition("public-net", {
      cniVersion: "0.3.1",
      ...macvlan,
      ipam: { type: "whereabouts", range: "10.51.15.0/24" },
    }, { namespace: "rook-ceph" }) +
      workload("Deployment", { name: "osd", networks: "rook-ceph/public-net" }),
    interfaces: [[/^net1 10\.51\.15\.\d+\/24$/]],
    decide: [WHEREABOUTS],
  },
  {
    name: "OpenShift: whereabouts with exclusions, two families, a gateway and leases",
    yaml: definition("dual", {
      cniVersion: "0.3.1",
      name: "dual",
      plugins: [{
        ...macvlan,
        ipam: {
          type: "whereabouts",
          ipRanges: [
            { range: "10.51.16.225/28", exclude: ["10.51.16.229/30", "10.51.16.236/32"] },
            { range: "fd51:16::1/64", range_start: "fd51:16::10" },
          ],
          gateway: "10.51.16.225",
          log_file: "/tmp/whereabouts.log",
          routes: [{ dst: "10.99.0.0/16" }],
        },
      }],
    }) + workload("StatefulSet", {
      name: "dual",
      networks: "dual@data0",
      spec: { replicas: 2, serviceName: "dual" },
    }) +
      JSON.stringify({
        apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
        kind: "IPPool",
        metadata: { name: "10.51.16.224-28", namespace: "kube-system" },
        spec: {
          range: "10.51.16.224/28",
          allocations: { "2": { id: "0123", podref: "default/dual-0", ifname: "data0" } },
        },
      }) + "\n---\n",
    // Neither the gateway, nor what is excluded, nor what the pod has with Multus.
    interfaces: [[DUAL], [DUAL]],
    decide: [/exclude holds 1 address that pods with Multus have, such as 10\.51\.16\.226/],
  },
  {
    name: "Longhorn: whereabouts from one address to another, in a namespace of the system",
    yaml: definition("storage", {
      cniVersion: "0.3.0",
      ...macvlan,
      ipam: {
        type: "whereabouts",
        range: "10.51.17.200-10.51.17.205/24",
        exclude: ["10.51.17.203"],
        gateway: "10.51.17.1",
      },
    }, { namespace: "kube-system" }) +
      workload("DaemonSet", { name: "manager", networks: "kube-system/storage@lhnet1" }),
    interfaces: [[/^lhnet1 10\.51\.17\.20[01245]\/24$/]],
    decide: [WHEREABOUTS],
  },
  {
    name: "Harvester: a bridge of the node and no addresses (ipam: {})",
    yaml: definition("vm-network", {
      cniVersion: "0.3.1",
      name: "vm-network",
      type: "bridge",
      bridge: "br-vm",
      promiscMode: true,
      ipam: {},
    }) + workload("Deployment", { name: "vm", networks: [{ name: "vm-network" }] }),
    interfaces: [["net1"]],
  },
  {
    name: "KubeVirt: a bridge that a device plugin marks, and tuning",
    yaml: definition("br1", {
      cniVersion: "0.3.1",
      name: "br1",
      plugins: [
        { type: "bridge", bridge: "br1", isGateway: true, ipam: hostLocal("10.51.18.0/24") },
        { type: "tuning", capabilities: { mac: true } },
      ],
    }, { annotations: { "k8s.v1.cni.cncf.io/resourceName": "bridge.network.kubevirt.io/br1" } }) +
      workload("Deployment", {
        name: "launcher",
        networks: [{ name: "br1", mac: "02:00:00:00:51:18", interface: "pod1" }],
      }),
    interfaces: [["pod1 10.51.18.2/24"]],
    decide: [/Only one pod at a time can have a fixed address/],
  },
  {
    name: "home clusters: static with the capability ips, routes, tuning and source-based routing",
    yaml: definition("iot", {
      cniVersion: "0.3.1",
      name: "iot",
      plugins: [
        {
          ...macvlan,
          capabilities: { ips: true },
          ipam: { type: "static", routes: [{ dst: "10.98.0.0/16", gw: "10.51.19.1" }] },
        },
        { type: "tuning", capabilities: { mac: true } },
        { type: "sbr" },
      ],
    }, { namespace: "network" }) +
      workload("StatefulSet", {
        name: "assistant",
        // Multus has no key "gateway", and ignores it.
        networks: [{
          name: "iot",
          namespace: "network",
          ips: ["10.51.19.100/24"],
          mac: "02:00:00:00:51:19",
          gateway: ["10.51.19.1"],
        }],
        spec: { serviceName: "assistant" },
      }),
    interfaces: [["net1 10.51.19.100/24"]],
  },
  {
    name: "free5GC: several networks with static addresses, each with its name in the pod",
    yaml: ["n2", "n3", "n4"].map((name, i) =>
      definition(`${name}network`, {
        cniVersion: "0.3.1",
        plugins: [
          { ...macvlan, capabilities: { ips: true }, ipam: { type: "static" } },
          { type: "tuning", capabilities: { mac: true } },
        ],
        name: `${name}network-${i}`,
      })
    ).join("") + pod(
      "upf",
      ["n2", "n3", "n4"].map((name, i) => ({
        name: `${name}network`,
        interface: name,
        ips: [`10.51.20.${8 * i + 1}/29`],
      })),
    ),
    interfaces: [["n2 10.51.20.1/29", "n3 10.51.20.9/29", "n4 10.51.20.17/29"]],
    decide: [BARE_POD],
  },
  {
    name: "OpenShift: a VLAN of the node's interface, with DNS",
    yaml: definition("vlan-net", {
      cniVersion: "0.3.1",
      name: "vlan-net",
      type: "vlan",
      master: "eth0",
      mtu: 1400,
      vlanId: 5,
      linkInContainer: false,
      ipam: { type: "host-local", subnet: "10.51.21.0/24" },
      dns: { nameservers: ["10.51.21.1", "10.51.21.2"] },
    }) + workload("DaemonSet", { name: "tagged", networks: "vlan-net" }),
  },
  {
    name: "OpenShift: a bond of two interfaces in the pod",
    yaml: definition("port", { cniVersion: "0.3.1", ...macvlan }) + definition("bond", {
      cniVersion: "0.3.1",
      name: "bond",
      type: "bond",
      mode: "active-backup",
      failOverMac: 1,
      linksInContainer: true,
      miimon: "100",
      links: [{ name: "net1" }, { name: "net2" }],
      ipam: { type: "host-local", subnet: "10.51.22.0/24" },
    }) + workload("Deployment", { name: "bonded", networks: "port, port, bond@bond0" }),
  },
  {
    name: "OpenShift: static addresses in a VRF of the pod",
    yaml: definition("vrf", {
      cniVersion: "0.3.1",
      name: "vrf",
      plugins: [
        {
          ...macvlan,
          ipam: { type: "static", addresses: [{ address: "10.51.23.23/24" }] },
        },
        { type: "vrf", vrfname: "vrf-1", table: 1001 },
      ],
    }) + pod("isolated", "vrf"),
    decide: [BARE_POD],
  },
  {
    name: "the SR-IOV operator: its settings that change nothing, and whereabouts",
    yaml: definition("fast-net", {
      cniVersion: "0.3.1",
      name: "fast-net",
      type: "sriov",
      vlan: 0,
      vlanQoS: 0,
      link_state: "auto",
      logLevel: "info",
      ipam: { type: "whereabouts", range: "10.51.24.0/24" },
    }, { annotations: { "k8s.v1.cni.cncf.io/resourceName": "openshift.io/intelnics" } }) +
      workload("Deployment", {
        name: "packets",
        networks: "fast-net@fast0",
        podSpec: {
          containers: [{
            ...container,
            resources: { limits: { "openshift.io/intelnics": "1" } },
          }],
        },
      }),
    selectors:
      `openshift.io/intelnics: device.attributes["dra.networking"].interface.startsWith("ens2f0v")\n`,
    decide: [
      WHEREABOUTS,
      /host-device moves the virtual function/,
      /vlan 0, vlanQoS 0, link_state auto/,
    ],
  },
  {
    name: "NVIDIA: a device by its resource, and InfiniBand with whereabouts",
    yaml: definition("rdma", {
      cniVersion: "0.3.1",
      name: "rdma",
      type: "host-device",
      ipam: { type: "static", addresses: [{ address: "10.51.25.25/24" }] },
    }, { annotations: { "k8s.v1.cni.cncf.io/resourceName": "nvidia.com/hostdev" } }) +
      definition("ipoib", {
        cniVersion: "0.3.1",
        name: "ipoib",
        type: "ipoib",
        master: "ibs1f0",
        ipam: { type: "whereabouts", range: "10.51.26.0/28", exclude: ["10.51.26.1/32"] },
      }) +
      workload("Job", {
        name: "training",
        networks: "rdma, ipoib",
        podSpec: {
          containers: [{ ...container, resources: { requests: { "nvidia.com/hostdev": "1" } } }],
        },
      }),
    selectors: `nvidia.com/hostdev: device.attributes["dra.networking"].type == "physical"\n`,
    decide: [WHEREABOUTS, /No device of the selector may belong/, /delete the Job/],
  },
  {
    name: "EKS: ipvlan in layer 3 on a further interface",
    yaml: definition("ipvlan-conf", {
      cniVersion: "0.3.0",
      type: "ipvlan",
      master: "eth1",
      mode: "l3",
      ipam: {
        type: "host-local",
        subnet: "10.51.27.0/24",
        rangeStart: "10.51.27.200",
        rangeEnd: "10.51.27.216",
        gateway: "10.51.27.1",
      },
    }) + pod("sampleapp", "ipvlan-conf"),
    decide: [BARE_POD],
  },
  {
    name: "a network with neither a version nor a name",
    yaml: definition("bare", { ...macvlan, ipam: hostLocal("10.51.28.0/24") }) +
      workload("Deployment", { name: "unversioned", networks: "bare" }),
    interfaces: [["net1 10.51.28.2/24"]],
  },
  {
    name: "a bridge with addresses by DHCP",
    yaml: definition("work", {
      cniVersion: "0.3.1",
      name: "work",
      type: "bridge",
      bridge: "br-work",
      isGateway: true,
      ipam: { type: "dhcp" },
    }) + workload("Deployment", { name: "dhcp", networks: `[{"name": "work"}]` }),
  },
];
