import { type Family, familyOf, ipNumber } from "../addresses/ip_range.ts";

/** A claim, or a pod. */
export interface ObjectId {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** What is kept of each NetworkAddress of the cluster: there may be many thousands. */
export interface AddressUse {
  readonly network: string;
  readonly family: Family;
  /** The address as a number. */
  readonly value: bigint;
  readonly node: string;
  /** NAMESPACE/NAME. */
  readonly pod: string;
  /** Tells the attachments of a network from one another; an attachment has an address of each family. */
  readonly attachment: string;
  /** Milliseconds since 1970; absent while the pod has it. */
  readonly keptUntil?: number;
}

/** A NetworkAddress as the API server has it at this moment. */
export interface LiveAddress {
  /** Of the object. */
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly node: string;
  readonly pod: ObjectId;
  readonly claim: ObjectId;
  readonly keptUntil?: number;
}

interface AddressObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
  readonly spec: {
    readonly network: string;
    readonly address: string;
    readonly node: string;
    readonly claim: ObjectId;
    readonly pod: ObjectId;
    readonly containerID: string;
    readonly ifName: string;
    readonly keptUntil?: string;
  };
}

/** More than any cluster has nodes and Networks: whoever makes up names for addresses fills no memory. */
const MOST_NAMES = 20_000;

/** Makes {@link AddressUse}s that share the names that they have in common. */
export class AddressUses {
  readonly #names = new Map<string, string>();

  /** @param object as the API server has validated it */
  read(object: unknown): AddressUse {
    const { spec } = object as AddressObject;
    const { network, address, node, pod, containerID, ifName } = spec;
    return {
      network: this.#shared(network),
      family: familyOf(address),
      value: ipNumber(address) ?? 0n,
      node: this.#shared(node),
      pod: `${pod.namespace}/${pod.name}`,
      // Ids of containers are 64 digits, of which so many tell them apart.
      attachment: `${containerID.slice(0, 12)}/${ifName}`,
      ...keptUntil(spec),
    };
  }

  /** How many names are kept. */
  get names(): number {
    return this.#names.size;
  }

  #shared(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    if (this.#names.size >= MOST_NAMES) this.#names.clear();
    this.#names.set(name, name);
    return name;
  }
}

/** @param object as the API server has validated it */
export function liveAddress(object: unknown): LiveAddress {
  const { metadata: { name, uid, resourceVersion }, spec } = object as AddressObject;
  const { node, pod, claim } = spec;
  return { name, uid, resourceVersion, node, pod, claim, ...keptUntil(spec) };
}

function keptUntil({ keptUntil: time }: AddressObject["spec"]): { readonly keptUntil?: number } {
  return time === undefined ? {} : { keptUntil: Date.parse(time) };
}
