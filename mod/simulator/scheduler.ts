import { nearest } from "../claim/did_you_mean.ts";
import type { Manifest } from "../manifests/manifest.ts";
import type { StoredClaim } from "./api_server.ts";
import { allocate, type Allocation, NotAllocatable } from "./allocation.ts";
import { type DeviceUse, UsedDevices } from "./device_use.ts";
import type { PublishedDevice } from "./published_devices.ts";

/** No node has devices for all claims of a pod; the message gives the reason for each node. */
export class Unschedulable extends Error {
  override readonly name = "Unschedulable";
}

export interface Cluster {
  /** Tried in this order; a cluster's scheduler has its own preferences. */
  readonly nodes: readonly string[];
  readonly devices: readonly PublishedDevice[];
  readonly classes: ReadonlyMap<string, Manifest>;
  /** All claims of the cluster. */
  readonly claims: readonly StoredClaim[];
}

/**
 * Chooses a node for a pod and allocates those of its claims that are not allocated yet.
 *
 * @param claims those of the pod; their status gets the allocation
 * @returns the name of the node
 * @throws Unschedulable
 * @throws Error if a selector cannot be evaluated or a class does not exist
 */
export function schedule(claims: readonly StoredClaim[], cluster: Cluster): string {
  const fixed = claims.flatMap(({ status }) => nodeOf(status?.allocation) ?? []);
  const nodes = cluster.nodes.filter((node) => fixed.every((name) => name === node));
  const fresh = claims.filter(({ status }) => !status?.allocation);
  const reasons: string[] = [];
  for (const node of nodes) {
    try {
      const allocations = allocateAll(fresh, node, cluster);
      fresh.forEach((claim, i) => claim.status = { ...claim.status, allocation: allocations[i]! });
      return node;
    } catch (error) {
      if (!(error instanceof NotAllocatable)) throw error;
      reasons.push(`${node}: ${error.message}`);
    }
  }
  if (nodes.length === 0) reasons.push("its claims are allocated on different nodes");
  throw new Unschedulable(`cannot allocate all claims: ${reasons.join("; ")}`);
}

function allocateAll(claims: readonly StoredClaim[], node: string, cluster: Cluster): Allocation[] {
  const devices = cluster.devices.filter((device) => device.node === node);
  if (devices.length === 0 && claims.length > 0) throw new NotAllocatable("it has no devices");
  const used = new UsedDevices(cluster.claims.flatMap((claim) => usesOf(claim, devices)));
  const classOf = (name: string) => {
    const found = cluster.classes.get(name);
    if (found) return found;
    const known = [...cluster.classes.keys()];
    const meant = nearest(name, known);
    throw new Error(
      `there is no DeviceClass ${name}; ` +
        (meant ? `did you mean ${meant}?` : `there are ${known.join(", ")}`),
    );
  };
  return claims.map((claim) => allocate(claim as unknown as Manifest, { devices, classOf, used }));
}

interface Result {
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  readonly adminAccess?: boolean;
  readonly consumedCapacity?: Readonly<Record<string, string>>;
}

function usesOf({ status }: StoredClaim, devices: readonly PublishedDevice[]): DeviceUse[] {
  const { devices: { results = [] } = {} } = (status?.allocation ?? {}) as {
    devices?: { results?: Result[] };
  };
  return results.flatMap((result) => {
    const device = devices.find(({ driver, pool, name }) =>
      driver === result.driver && pool === result.pool && name === result.device
    );
    return device && !result.adminAccess
      ? [{ device, consumed: result.consumedCapacity ?? {} }]
      : [];
  });
}

/** The node that an allocation is for. */
export function nodeOf(allocation: unknown): string | undefined {
  return (allocation as Allocation | undefined)?.devices.results.map(({ pool }) => `${pool}`)[0];
}
