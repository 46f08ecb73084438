import { addressObjectName, type NetworkAddress } from "../../mod/addresses/address_object.ts";
import type {
  AddressApi,
  AddressNews,
  Created,
  Selection,
  StoredAddress,
} from "../../mod/addresses/ports.ts";
import { isSameOwner } from "../../mod/addresses/own_addresses.ts";
import { Notifier } from "../../mod/async/notifier.ts";
import type { Clock } from "../../mod/async/clock.ts";

/** How long the API server takes. */
export interface StoreDelays {
  /** For a request, in milliseconds. */
  readonly request: () => number;
  /** Until a watch tells of a change. */
  readonly watch: () => number;
}

const AT_ONCE: StoreDelays = { request: () => 0, watch: () => 0 };

type Change = Extract<AddressNews, { type: "set" | "deleted" }>;

/** The NetworkAddresses of an API server, in this process. */
export class AddressStore implements AddressApi {
  readonly #clock: Clock;
  readonly #delays: StoreDelays;
  readonly #stored = new Map<string, StoredAddress>();
  readonly #watches = new Set<(change: Change) => void>();
  #uids = 0;
  /** Requests by verb. */
  readonly requests = { create: 0, get: 0, update: 0, delete: 0, list: 0 };

  constructor(clock: Clock, delays = AT_ONCE) {
    this.#clock = clock;
    this.#delays = delays;
  }

  get all(): StoredAddress[] {
    return [...this.#stored.values()];
  }

  /** Puts an address there without a request. */
  put(address: NetworkAddress): StoredAddress {
    const stored = { ...address, uid: address.uid ?? `uid-${++this.#uids}` };
    this.#stored.set(nameOf(address), stored);
    this.#tell({ type: "set", address: stored });
    return stored;
  }

  async create(
    address: NetworkAddress,
    { whose, signal }: { readonly whose: boolean; readonly signal: AbortSignal },
  ): Promise<Created> {
    await this.#request("create", signal);
    const there = this.#stored.get(nameOf(address));
    if (!there) return { is: "created", address: this.put(address) };
    return { is: "there", address: whose ? await this.get(address, signal) : undefined };
  }

  async get(address: NetworkAddress, signal: AbortSignal): Promise<StoredAddress | undefined> {
    await this.#request("get", signal);
    return this.#stored.get(nameOf(address));
  }

  async update(
    address: NetworkAddress,
    { over, signal }: { readonly over: StoredAddress; readonly signal: AbortSignal },
  ): Promise<StoredAddress | undefined> {
    const current = await this.get(address, signal);
    await this.#request("update", signal);
    const isSame = current?.uid === over.uid && isSameOwner(current.owner, over.owner) &&
      current.keptUntil === over.keptUntil && this.#stored.get(nameOf(address)) === current;
    return isSame ? this.put({ ...address, uid: over.uid }) : undefined;
  }

  async remove(address: StoredAddress, signal: AbortSignal): Promise<void> {
    await this.#request("delete", signal);
    const stored = this.#stored.get(nameOf(address));
    if (stored?.uid !== address.uid) return;
    this.#stored.delete(nameOf(address));
    this.#tell({ type: "deleted", address: stored });
  }

  async *follow(selection: Selection, signal: AbortSignal): AsyncGenerator<AddressNews> {
    const pending: Change[] = [];
    const more = new Notifier();
    const told = (change: Change) => {
      if (!selects(selection, change.address)) return;
      this.#clock.sleep(this.#delays.watch(), signal).then(() => {
        pending.push(change);
        more.notify();
      }, () => {});
    };
    await this.#request("list", signal);
    this.#watches.add(told);
    try {
      yield { type: "listing" };
      for (const address of this.all) {
        if (selects(selection, address)) yield { type: "set", address };
      }
      yield { type: "listed" };
      while (!signal.aborted) {
        while (pending.length > 0) yield pending.shift()!;
        await more.next(signal).catch(() => {});
      }
    } finally {
      this.#watches.delete(told);
    }
  }

  async #request(verb: keyof AddressStore["requests"], signal: AbortSignal): Promise<void> {
    this.requests[verb]++;
    await this.#clock.sleep(this.#delays.request(), signal);
  }

  #tell(change: Change): void {
    for (const told of this.#watches) told(change);
  }
}

function selects(selection: Selection, { network, owner }: NetworkAddress): boolean {
  return selection.by === "network" ? network === selection.network : owner.node === selection.node;
}

function nameOf({ network, address }: Pick<NetworkAddress, "network" | "address">): string {
  return addressObjectName(network, address);
}
