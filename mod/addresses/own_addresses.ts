import { Notifier } from "../async/notifier.ts";
import {
  addressObjectName,
  type AddressOwner,
  type NetworkAddress,
  type StoredAddress,
} from "./address_object.ts";
import type { AddressApi } from "./ports.ts";

/** Which attachment of a node has an address. */
export interface OwnerKey {
  readonly network: string;
  readonly containerID: string;
  readonly ifName: string;
}

/** An address of this node. Without a UID, it has been asked for, and the answer is not known. */
export type OwnAddress = NetworkAddress | StoredAddress;

/** What is known of a list that is being read. */
interface Listing {
  readonly seen: Set<string>;
  /** Names of objects that this process created meanwhile: the list may be older. */
  readonly made: Set<string>;
  /** UIDs of objects that were removed before it began. */
  readonly removed: readonly string[];
}

/**
 * The addresses that this node has taken, as the API server has them and as this process has changed
 * them since.
 */
export class OwnAddresses {
  readonly #node: string;
  readonly #changes = new Notifier();
  /** By the object's name. */
  readonly #addresses = new Map<string, OwnAddress>();
  /** UIDs that this process has removed: a watch may still tell that they came. */
  readonly #removed = new Set<string>();
  #listing: Listing | undefined;
  #isKnown = false;
  /** Why they cannot be followed at the moment. */
  #problem = "the API server has not answered yet";

  constructor(node: string) {
    this.#node = node;
  }

  /** Keeps up with the API server until the signal is aborted, and forgets all then. */
  async run(api: AddressApi, signal: AbortSignal): Promise<void> {
    try {
      const news = api.follow({ by: "node", node: this.#node }, signal);
      for await (const each of news) {
        switch (each.type) {
          case "listing":
            this.#listing = { seen: new Set(), made: new Set(), removed: [...this.#removed] };
            break;
          case "set":
            this.#told(each.address);
            break;
          case "deleted":
            this.#gone(each.address);
            break;
          case "listed":
            this.#listed();
            break;
          case "failed":
            this.#problem = each.cause;
        }
      }
    } finally {
      this.#addresses.clear();
      this.#removed.clear();
      this.#listing = undefined;
      this.#isKnown = false;
    }
  }

  get isKnown(): boolean {
    return this.#isKnown;
  }

  get all(): readonly OwnAddress[] {
    return [...this.#addresses.values()];
  }

  get count(): number {
    return this.#addresses.size;
  }

  /** How many removed ones a watch has still to tell of. */
  get leaving(): number {
    return this.#removed.size;
  }

  /** Resolves once the API server has listed them. @throws Error with the cause */
  async known(signal: AbortSignal): Promise<void> {
    while (!this.#isKnown) {
      await this.#changes.next(signal).catch((error) => {
        const cause = this.#problem;
        throw new Error(`cannot tell which addresses this node has: ${cause}`, { cause: error });
      });
    }
  }

  of({ network, containerID, ifName }: OwnerKey): OwnAddress[] {
    return this.all.filter(({ network: own, owner, keptUntil }) =>
      own === network && keptUntil === undefined && owner.containerID === containerID &&
      owner.ifName === ifName
    );
  }

  /** The address with its owner, if this node has it or asks for it. */
  at(address: Pick<NetworkAddress, "network" | "address">): OwnAddress | undefined {
    return this.#addresses.get(nameOf(address));
  }

  /** This process asks for it, or has it now. */
  put(address: OwnAddress): void {
    const name = nameOf(address);
    this.#listing?.made.add(name);
    this.#addresses.set(name, address);
  }

  /** This process does not have it. */
  drop(address: OwnAddress): void {
    const name = nameOf(address);
    const known = this.#addresses.get(name);
    if (known && !isSameOwner(known.owner, address.owner)) return;
    // A watch has told of it meanwhile: a create whose answer nobody had, or a new one, was done.
    if (known?.uid !== undefined && known.uid !== address.uid) return;
    // One that is not known has gone already by what a watch has told, which tells of it no more.
    if (known?.uid !== undefined && known.uid === address.uid) this.#removed.add(known.uid);
    this.#addresses.delete(name);
  }

  #told(address: StoredAddress): void {
    if (this.#removed.has(address.uid)) return;
    const name = nameOf(address);
    this.#listing?.seen.add(name);
    this.#addresses.set(name, address);
  }

  #gone({ uid, ...address }: StoredAddress): void {
    this.#removed.delete(uid);
    const name = nameOf(address);
    if (this.#addresses.get(name)?.uid === uid) this.#addresses.delete(name);
  }

  #listed(): void {
    const { seen, made, removed } = this.#listing!;
    for (const [name, { uid }] of this.#addresses) {
      // Of one without a UID the answer is still to come.
      if (uid !== undefined && !seen.has(name) && !made.has(name)) this.#addresses.delete(name);
    }
    for (const uid of removed) this.#removed.delete(uid);
    this.#listing = undefined;
    this.#isKnown = true;
    this.#changes.notify();
  }
}

/** Whether the API server has it, as far as this process knows. */
export function isStored(address: OwnAddress): address is StoredAddress {
  return address.uid !== undefined;
}

/** Whether two addresses are those of one attachment. */
export function isSameOwner(one: AddressOwner, other: AddressOwner): boolean {
  return one.node === other.node && one.containerID === other.containerID &&
    one.ifName === other.ifName && one.pod.uid === other.pod.uid;
}

function nameOf({ network, address }: Pick<NetworkAddress, "network" | "address">): string {
  return addressObjectName(network, address);
}
