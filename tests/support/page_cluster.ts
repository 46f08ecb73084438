/** Made-up clusters for the page of `network-dra ui`: a small one with all kinds of trouble, a large one. */
import {
  rawAgentPod,
  rawClaim,
  rawClass,
  type RawCluster,
  rawEvent,
  rawNetwork,
  rawNode,
  rawPod,
  rawSlice,
  reservation,
} from "./cluster_objects.ts";

type Fields = Record<string, unknown>;

const READY = { reason: "NetworkInterfaceReady", message: "attached" };

/** A pod with one network, and how it is doing. */
export interface PagePod {
  readonly name: string;
  readonly namespace?: string;
  /** Absent: the scheduler finds none. */
  readonly node?: string;
  readonly network: string;
  readonly plugin?: string;
  readonly device?: string;
  readonly state: "attached" | "attaching" | "failed" | "lost" | "unallocated";
  readonly address?: string;
  /** RFC 3339. */
  readonly created?: string;
  /** Seconds from then to ready. */
  readonly took?: number;
}

const NO_ADDRESS =
  'plugin type="macvlan" name="lan" failed (add): failed to allocate for range 0: no ' +
  "IP addresses available in range set: 10.77.0.5-10.77.0.9";
const NO_NODE = "0/4 nodes are available: 4 cannot allocate all claims.";

/** The objects of a pod. */
export function podObjects(
  {
    name,
    namespace = "default",
    node,
    network,
    plugin = "macvlan",
    device = "eth1",
    state,
    address = "10.77.0.5/24",
    created = "2026-11-30T10:00:00Z",
    took = 2,
  }: PagePod,
): { readonly pod: Fields; readonly claim: Fields; readonly events: Fields[] } {
  const pod = at(
    rawPod(name, {
      claims: [{ name: network, resourceClaimName: `${name}-net` }],
      running: state === "attached" || state === "lost",
      ...(node !== undefined ? { node } : { unscheduled: NO_NODE }),
    }),
    { namespace, created },
  );
  const condition = {
    attached: READY,
    lost: { reason: "DeviceRemoved", message: `${device} is gone from the node` },
    failed: { reason: "NetworkInterfaceNotReady", message: NO_ADDRESS },
    attaching: undefined,
    unallocated: undefined,
  }[state];
  const claim = at(
    rawClaim(`${name}-net`, {
      parameters: rawNetwork(network, plugin),
      ...(node !== undefined && { node, device, reservedFor: [reservation(pod)] }),
      ...(condition && { ready: condition }),
      ...(state === "attached" && { ips: [address] }),
    }),
    { namespace, created },
  );
  const since = new Date(Date.parse(created) + 1000 * took).toISOString().replace(".000", "");
  const { devices = [] } = claim.status as { devices?: { conditions: Fields[] }[] };
  for (const { conditions } of devices) conditions[0]!.lastTransitionTime = since;
  const events = node === undefined
    ? [rawEvent(pod, { reason: "FailedScheduling", message: NO_NODE, component: "scheduler" })]
    : [];
  return { pod, claim, events };
}

function at(
  object: Fields,
  { namespace, created }: { readonly namespace: string; readonly created: string },
): Fields {
  const metadata = object.metadata as Fields;
  return { ...object, metadata: { ...metadata, namespace, creationTimestamp: created } };
}

/** A cluster of these pods. */
export function clusterOf(
  pods: readonly PagePod[],
  nodes: readonly string[],
  interfaces: readonly string[] = ["eth1", "eth2"],
): RawCluster {
  const made = pods.map(podObjects);
  return {
    nodes: nodes.map((name) => rawNode(name)),
    pods: [...nodes.map((name) => rawAgentPod(name)), ...made.map(({ pod }) => pod)],
    resourceslices: nodes.map((name) => rawSlice(name, interfaces)),
    resourceclaims: made.map(({ claim }) => claim),
    resourceclaimtemplates: [],
    events: made.flatMap(({ events }) => events),
    deviceclasses: [rawClass("network-interface")],
  };
}

const MINUTE_MS = 60_000;

/** Four nodes, three networks, and one pod of each kind of trouble. @param now the latest pod is that new */
export function smallCluster(now: Date): RawCluster {
  const ago = (minutes: number) => new Date(now.getTime() - minutes * MINUTE_MS).toISOString();
  const attached = { state: "attached" } as const;
  const [lan, storage, edge] = [
    { network: "lan", plugin: "macvlan", device: "eth1" },
    { network: "storage", plugin: "ipvlan", device: "eth2" },
    { network: "edge", plugin: "bridge", device: "cni" },
  ] as const;
  const [one, two, three, four] = ["node-1", "node-2", "node-3", "node-4"] as const;
  return clusterOf([
    {
      name: "web-0",
      node: one,
      ...lan,
      ...attached,
      address: "10.77.0.5/24",
      created: ago(42),
      took: 3,
    },
    {
      name: "web-1",
      node: two,
      ...lan,
      ...attached,
      address: "10.77.0.6/24",
      created: ago(41),
      took: 2,
    },
    {
      name: "web-2",
      node: three,
      ...lan,
      ...attached,
      address: "10.77.0.7/24",
      created: ago(41),
      took: 4,
    },
    { name: "web-3", node: two, ...lan, state: "failed", created: ago(3) },
    {
      name: "db-0",
      namespace: "shop",
      node: one,
      ...storage,
      ...attached,
      address: "10.88.0.2/24",
      created: ago(90),
      took: 9,
    },
    {
      name: "db-1",
      namespace: "shop",
      node: three,
      ...storage,
      ...attached,
      address: "10.88.0.3/24",
      created: ago(88),
      took: 7,
    },
    { name: "db-2", namespace: "shop", node: four, ...storage, state: "lost", created: ago(87) },
    {
      name: "gateway-0",
      namespace: "shop",
      node: two,
      ...edge,
      ...attached,
      address: "10.99.0.2/24",
      created: ago(15),
      took: 1,
    },
    {
      name: "gateway-1",
      namespace: "shop",
      node: four,
      ...edge,
      state: "attaching",
      created: ago(0.1),
    },
    { name: "batch-0", ...lan, state: "unallocated", created: ago(6) },
  ], [one, two, three, four]);
}

/** 100 nodes with 20 pods each, of five networks; a few are not well. */
export function largeCluster(now: Date): RawCluster {
  const nodes = Array.from({ length: 100 }, (_, i) => `node-${i + 1}`);
  const networks = ["lan", "storage", "edge", "backup", "video"];
  const pods = Array.from({ length: 2_000 }, (_, i): PagePod => ({
    name: `app-${i}`,
    node: nodes[i % nodes.length]!,
    network: networks[i % networks.length]!,
    device: ["cni", "eth1", "eth2"][i % 3]!,
    state: i % 97 === 0
      ? "failed"
      : i % 211 === 0
      ? "lost"
      : i % 61 === 0
      ? "attaching"
      : "attached",
    address: `10.${20 + (i >> 8)}.${i & 255}.2/24`,
    created: new Date(now.getTime() - (i % 600) * MINUTE_MS).toISOString(),
    took: 1 + i % 7,
  }));
  return clusterOf(pods, nodes);
}
