/** Networks and workloads for Multus as they are found in the world, and what comes of them. */

/** A shape of NetworkAttachmentDefinition and workload. */
export interface Shape {
  readonly name: string;
  /** Objects for Multus. */
  readonly yaml: string;
  /**
   * The interfaces that Multus makes, with their addresses, each pod's in order. Absent where the
   * kernel of the machines of the tests cannot make them: such a shape is migrated and linted only.
   */
  readonly interfaces?: readonly (readonly string[])[];
  /** What a person must decide or do, a pattern each. */
  readonly decide?: readonly RegExp[];
  /** The file for `--selectors`. */
  readonly selectors?: string;
  /** The file for `try --node`. */
  readonly node?: string;
  /** What the machine must have besides the plugins. */
  readonly needs?: "nft";
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

const BARE_POD = /delete the pod and create it again/;

/** Public shapes. All of them run where the reference plugins are. */
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
    node: "nodes: [{ interfaces: [{ name: eth0 }, { name: eth1 }] }]\n",
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
    node: "nodes: [{ interfaces: [{ name: eth0 }, { name: ens1f0v0 }] }]\n",
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
    needs: "nft",
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
];
