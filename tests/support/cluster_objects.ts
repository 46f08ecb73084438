/** Objects of a made-up cluster, as an API server gives them. */

type Fields = Record<string, unknown>;

/** What a cluster has, by plural. */
export interface RawCluster {
  nodes: Fields[];
  pods: Fields[];
  events: Fields[];
  resourceslices: Fields[];
  resourceclaims: Fields[];
  resourceclaimtemplates: Fields[];
  deviceclasses: Fields[];
}

/** All of it happened at this time, unless told. */
export const AT = "2026-11-30T10:00:00Z";
export const DRIVER = "dra.networking";

let uids = 0;

function metadata(name: string, more: Fields = {}): Fields {
  return {
    name,
    uid: `uid-${name}-${++uids}`,
    resourceVersion: `${uids}`,
    creationTimestamp: AT,
    ...more,
  };
}

export function rawNode(
  name: string,
  { ready = true, kubelet = "v1.36.2", runtime = "containerd://2.1.4" } = {},
): Fields {
  const message = ready
    ? "kubelet is posting ready status"
    : "Kubelet stopped posting node status.";
  return {
    metadata: metadata(name),
    status: {
      nodeInfo: { kubeletVersion: kubelet, containerRuntimeVersion: runtime },
      conditions: [{ type: "Ready", status: ready ? "True" : "Unknown", message }],
    },
  };
}

export function rawAgentPod(
  node: string,
  { version = "0.1.0", ready = true, waiting, restarts = 0 }: {
    readonly version?: string;
    readonly ready?: boolean;
    readonly waiting?: Fields;
    readonly restarts?: number;
  } = {},
): Fields {
  return {
    metadata: metadata(`network-dra-${node}`, {
      namespace: "kube-system",
      labels: { "app.kubernetes.io/name": "network-dra" },
      ownerReferences: [{ kind: "DaemonSet", name: "network-dra", controller: true }],
    }),
    spec: {
      nodeName: node,
      serviceAccountName: "network-dra",
      containers: [{
        name: "agent",
        image: `localhost/network-dra:${version}`,
        args: ["run", `--driver-name=${DRIVER}`],
      }],
    },
    status: {
      phase: "Running",
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
      containerStatuses: [{
        name: "agent",
        restartCount: restarts,
        state: waiting ? { waiting } : { running: { startedAt: AT } },
      }],
    },
  };
}

export function rawSlice(
  node: string,
  interfaces: readonly string[] = ["eth1"],
  { mtu = 1500, plugins = ["macvlan", "host_local"] }: {
    readonly mtu?: number;
    /** As their attributes have them. */
    readonly plugins?: readonly string[];
  } = {},
): Fields {
  const runnable = Object.fromEntries(plugins.map((each) => [`plugin_${each}`, { bool: true }]));
  const device = (name: string, type: string, more: Fields = {}) => ({
    name,
    attributes: { type: { string: type }, state: { string: "up" }, ...more, ...runnable },
    allowMultipleAllocations: true,
    capacity: { attachments: { value: "256" } },
  });
  return {
    metadata: metadata(`${DRIVER}-${node}`),
    spec: {
      driver: DRIVER,
      nodeName: node,
      pool: { name: node, generation: 1, resourceSliceCount: 1 },
      devices: [
        device("cni", "cni"),
        ...interfaces.map((name) =>
          device(name, "physical", { interface: { string: name }, mtu: { int: mtu } })
        ),
      ],
    },
  };
}

export function rawClass(name: string, parameters?: Fields): Fields {
  return {
    metadata: metadata(name),
    spec: {
      selectors: [{ cel: { expression: `device.driver == "${DRIVER}"` } }],
      ...(parameters && { config: [{ opaque: { driver: DRIVER, parameters } }] }),
    },
  };
}

/** The parameters of a network. */
export function rawNetwork(name: string, plugin = "macvlan", interfaceName = "net1"): Fields {
  return {
    apiVersion: "dra.networking/v1alpha1",
    kind: "Network",
    interfaceName,
    config: { cniVersion: "1.0.0", name, plugins: [{ type: plugin }] },
  };
}

/** A claim, and how far it has come. */
export interface RawClaimOptions {
  readonly className?: string;
  readonly parameters?: Fields;
  /** Where it is allocated. */
  readonly node?: string;
  readonly device?: string;
  readonly reservedFor?: readonly Fields[];
  /** The condition that the agent has written. */
  readonly ready?: { readonly reason: string; readonly message: string };
  readonly ips?: readonly string[];
  readonly deleting?: boolean;
}

export function rawClaim(
  name: string,
  {
    className = "network-interface",
    parameters = rawNetwork("lan"),
    node,
    device = "cni",
    reservedFor = [],
    ready,
    ips,
    deleting = false,
  }: RawClaimOptions = {},
): Fields {
  const opaque = { driver: DRIVER, parameters };
  const allocated = { driver: DRIVER, pool: node, device };
  const condition = ready && {
    type: "Ready",
    status: ready.reason === "NetworkInterfaceReady" ? "True" : "False",
    ...ready,
    lastTransitionTime: AT,
  };
  return {
    metadata: metadata(name, {
      namespace: "default",
      ...(deleting && { deletionTimestamp: AT }),
    }),
    spec: {
      devices: {
        requests: [{ name: "lan", exactly: { deviceClassName: className } }],
        config: [{ requests: ["lan"], opaque }],
      },
    },
    status: {
      ...(node && {
        allocation: {
          devices: {
            results: [{ request: "lan", ...allocated }],
            config: [{ source: "FromClaim", requests: ["lan"], opaque }],
          },
        },
      }),
      reservedFor,
      ...(condition && {
        devices: [{
          ...allocated,
          conditions: [condition],
          ...(ips && {
            networkData: { interfaceName: "net1", hardwareAddress: "02:00:00:00:00:01", ips },
          }),
        }],
      }),
    },
  };
}

export function rawTemplate(name: string, options: RawClaimOptions = {}): Fields {
  const { spec } = rawClaim(name, options);
  return { metadata: metadata(name, { namespace: "default" }), spec: { spec } };
}

/** A pod, and how far it has come. */
export interface RawPodOptions {
  readonly claims: readonly Fields[];
  readonly made?: readonly Fields[];
  readonly node?: string;
  readonly running?: boolean;
  readonly unscheduled?: string;
  readonly terminating?: boolean;
  readonly waiting?: Fields;
}

export function rawPod(name: string, options: RawPodOptions): Fields {
  const { claims, made, node, running = false, unscheduled, terminating, waiting } = options;
  return {
    metadata: metadata(name, {
      namespace: "default",
      ...(terminating && { deletionTimestamp: AT }),
    }),
    spec: {
      ...(node && { nodeName: node }),
      resourceClaims: claims,
      containers: [{ name: "main", image: "busybox" }],
    },
    status: {
      phase: running ? "Running" : "Pending",
      conditions: [
        { type: "PodScheduled", status: node ? "True" : "False", message: unscheduled },
        { type: "Ready", status: running ? "True" : "False" },
      ],
      ...(made && { resourceClaimStatuses: made }),
      ...(waiting && {
        containerStatuses: [{ name: "main", state: { waiting } }],
      }),
    },
  };
}

/** What reserves a claim for a pod. */
export function reservation(pod: Fields): Fields {
  const { name, uid } = pod.metadata as Fields;
  return { resource: "pods", name, uid };
}

export function rawEvent(
  about: Fields,
  { kind = "Pod", reason, message, component = DRIVER, last = AT }: {
    readonly kind?: string;
    readonly reason: string;
    readonly message: string;
    readonly component?: string;
    readonly last?: string;
  },
): Fields {
  const { namespace, name, uid } = about.metadata as Fields;
  return {
    metadata: metadata(`${name}.${uids}`, { namespace }),
    involvedObject: { kind, namespace, name, uid },
    type: "Warning",
    reason,
    message,
    count: 3,
    lastTimestamp: last,
    source: { component },
    reportingComponent: component,
  };
}

/** Two nodes with ready agents, and nothing else. */
export function rawCluster(more: Partial<RawCluster> = {}): RawCluster {
  const names = ["node-1", "node-2"];
  const { pods = [], ...others } = more;
  return {
    nodes: names.map((name) => rawNode(name)),
    pods: [...names.map((name) => rawAgentPod(name)), ...pods],
    events: [],
    resourceslices: names.map((name) => rawSlice(name)),
    resourceclaims: [],
    resourceclaimtemplates: [],
    deviceclasses: [rawClass("network-interface")],
    ...others,
  };
}
