import {
  addressObjectName,
  type NetworkAddress,
  type StoredAddress,
  toObject,
} from "../../mod/addresses/address_object.ts";
import type {
  AddressApi,
  AddressNews,
  AddressRequest,
  Created,
  Removed,
  Selection,
} from "../../mod/addresses/ports.ts";
import { isDeepStrictEqual } from "node:util";
import { Notifier } from "../../mod/async/notifier.ts";

interface Options {
  readonly signal?: AbortSignal;
}

interface Watch {
  readonly selection: Selection;
  readonly tell: (news: AddressNews) => void;
}

/**
 * An API server that keeps addresses, for any number of nodes, with the requests that the agent's
 * adapter makes of it: objects get a UID when they are created and a resourceVersion at each write.
 */
export class FakeAddressApi implements AddressApi {
  readonly objects = new Map<string, StoredAddress>();
  /** `create ADDRESS`, … in the order they came. */
  readonly asked: string[] = [];
  /** Called before a request does anything, and after; what it throws is the answer. */
  before: (request: AddressRequest, address: string) => void | Promise<void> = () => {};
  after: (request: AddressRequest, address: string) => void | Promise<void> = () => {};
  /** How long it takes until a watch tells of a change. The changes keep their order. */
  lag: (() => Promise<void>) | undefined;
  /** Whether watches tell nothing, as if they were late. */
  isSilent = false;
  readonly #watches = new Set<Watch>();
  #uids = 0;
  #version = 0;

  get all(): StoredAddress[] {
    return [...this.objects.values()];
  }

  async create(
    address: NetworkAddress,
    { whose = true }: Options & { readonly whose?: boolean } = {},
  ): Promise<Created> {
    const created = await this.#request("create", address.address, () => {
      return this.objects.has(nameOf(address)) ? undefined : this.put(address);
    });
    if (created) return { is: "created", address: created };
    return { is: "there", address: whose ? await this.get(address) : undefined };
  }

  async update(
    address: NetworkAddress,
    { over }: Options & { readonly over: StoredAddress },
  ): Promise<StoredAddress | undefined> {
    const current = await this.get(address);
    if (current?.uid !== over.uid) return undefined;
    if (isDeepStrictEqual(specOf(current), specOf(address))) return current;
    if (!isDeepStrictEqual(specOf(current), specOf(over))) return undefined;
    return await this.#request("update", address.address, () => {
      const isSame = this.#isAsRead(current);
      return isSame ? this.#write({ ...address, uid: current.uid }) : undefined;
    });
  }

  get(address: NetworkAddress): Promise<StoredAddress | undefined> {
    return this.#request("get", address.address, () => this.objects.get(nameOf(address)));
  }

  remove(address: StoredAddress): Promise<Removed> {
    return this.#request("delete", address.address, () => {
      if (!this.objects.has(nameOf(address))) return "gone";
      if (!this.#isAsRead(address)) return "changed";
      this.deleteByHand(address);
      return "gone";
    });
  }

  /** Creates an object without a request. */
  put(address: NetworkAddress): StoredAddress {
    return this.#write({ ...address, uid: `u${++this.#uids}` });
  }

  /** Writes an object anew as it is, as whoever sets a label does. */
  touch(address: NetworkAddress): StoredAddress {
    return this.#write(this.objects.get(nameOf(address))!);
  }

  deleteByHand(address: NetworkAddress): void {
    const found = this.objects.get(nameOf(address))!;
    this.objects.delete(nameOf(address));
    this.#changed(found, undefined);
  }

  /** All watches end and list again. */
  relist(): void {
    for (const { tell } of this.#watches) tell({ type: "failed", cause: "the watch has ended" });
  }

  async *follow(selection: Selection, signal: AbortSignal): AsyncGenerator<AddressNews> {
    const changes = new Notifier();
    const queue: { readonly news: AddressNews; readonly due?: Promise<void> }[] = [];
    const tell = (news: AddressNews) => {
      const due = this.lag?.();
      queue.push({ news, ...(due && { due }) });
      changes.notify();
    };
    const watch = { selection, tell };
    this.#watches.add(watch);
    try {
      while (!signal.aborted) {
        yield { type: "listing" };
        const items = await this.#request("list", "", () => {
          // What is in the list, the watch that follows it does not tell.
          queue.length = 0;
          return this.all.filter((address) => selects(selection, address));
        });
        for (const address of items) yield { type: "set", address };
        yield { type: "listed" };
        for (let isOver = false; !isOver && !signal.aborted;) {
          const next = queue.shift();
          if (!next) {
            await changes.next(signal).catch(() => {});
            continue;
          }
          if (next.due) await next.due;
          isOver = next.news.type === "failed";
          yield next.news;
        }
      }
    } finally {
      this.#watches.delete(watch);
    }
  }

  #isAsRead(address: StoredAddress): boolean {
    const current = this.objects.get(nameOf(address));
    return current?.uid === address.uid && current.resourceVersion === address.resourceVersion;
  }

  #write(address: NetworkAddress & { readonly uid: string }): StoredAddress {
    const before = this.objects.get(nameOf(address));
    const stored = { ...address, resourceVersion: `${++this.#version}` };
    this.objects.set(nameOf(address), stored);
    this.#changed(before, stored);
    return stored;
  }

  async #request<T>(request: AddressRequest, address: string, work: () => T): Promise<T> {
    this.asked.push(`${request} ${address}`.trim());
    await this.before(request, address);
    const answer = work();
    await this.after(request, address);
    return answer;
  }

  /** To a watch, an object that its selection has no longer is one that was deleted. */
  #changed(before: StoredAddress | undefined, now: StoredAddress | undefined): void {
    if (this.isSilent) return;
    for (const { selection, tell } of this.#watches) {
      if (now && selects(selection, now)) tell({ type: "set", address: now });
      else if (before && selects(selection, before)) tell({ type: "deleted", address: before });
    }
  }
}

function selects(selection: Selection, { network, owner }: NetworkAddress): boolean {
  return selection.by === "network" ? network === selection.network : owner.node === selection.node;
}

function specOf(address: NetworkAddress): unknown {
  return toObject(address).spec;
}

function nameOf({ network, address }: NetworkAddress): string {
  return addressObjectName(network, address);
}
