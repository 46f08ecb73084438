import { addressObjectName, type NetworkAddress, type StoredAddress } from "./address_object.ts";

/** A pod, whatever its UID. */
interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/**
 * Whether a pod with this name comes back: its name ends in a number, as those of StatefulSets do
 * (`db-0`). The names of other pods are never used again.
 */
export function comesBack({ name }: PodName): boolean {
  return /-(0|[1-9]\d*)$/.test(name);
}

/** Whether an address is kept for a pod of this name. */
export function isKeptFor({ keptUntil, owner }: NetworkAddress, pod: PodName): boolean {
  return keptUntil !== undefined && keyOf(owner.pod) === keyOf(pod);
}

/** Addresses of one network that are kept for pods, by the names of these. */
export class KeptAddresses {
  /** By the names of their objects. */
  readonly #kept = new Map<string, StoredAddress>();
  readonly #byPod = new Map<string, Set<string>>();

  /** What an address is now. */
  set(address: StoredAddress): void {
    this.delete(address);
    if (address.keptUntil === undefined) return;
    const name = nameOf(address);
    const pod = keyOf(address.owner.pod);
    this.#kept.set(name, address);
    const names = this.#byPod.get(pod);
    if (names) names.add(name);
    else this.#byPod.set(pod, new Set([name]));
  }

  delete(address: Pick<NetworkAddress, "network" | "address">): void {
    const name = nameOf(address);
    const before = this.#kept.get(name);
    if (!before) return;
    this.#kept.delete(name);
    const pod = keyOf(before.owner.pod);
    const names = this.#byPod.get(pod)!;
    names.delete(name);
    if (names.size === 0) this.#byPod.delete(pod);
  }

  of(pod: PodName): StoredAddress[] {
    return [...this.#byPod.get(keyOf(pod)) ?? []].map((name) => this.#kept.get(name)!);
  }
}

function keyOf({ namespace, name }: PodName): string {
  return `${namespace}/${name}`;
}

function nameOf({ network, address }: Pick<NetworkAddress, "network" | "address">): string {
  return addressObjectName(network, address);
}
