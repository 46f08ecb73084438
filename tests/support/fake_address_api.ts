import { addressObjectName, type NetworkAddress } from "../../mod/addresses/address_object.ts";
import type {
  AddressApi,
  AddressNews,
  AddressRequest,
  Created,
  Selection,
  StoredAddress,
} from "../../mod/addresses/ports.ts";
import { Notifier } from "../../mod/async/notifier.ts";

/** An API server that keeps addresses, for any number of nodes. */
export class FakeAddressApi implements AddressApi {
  readonly objects = new Map<string, StoredAddress>();
  /** `create ADDRESS`, … in the order they came. */
  readonly asked: string[] = [];
  /** Called before a request does anything, and after; what it throws is the answer. */
  before: (request: AddressRequest, address: string) => void | Promise<void> = () => {};
  after: (request: AddressRequest, address: string) => void | Promise<void> = () => {};
  readonly #watches = new Set<(news: AddressNews) => void>();
  /** Whether watches tell nothing, as if they were late. */
  isSilent = false;
  #uids = 0;

  create(address: NetworkAddress): Promise<Created> {
    const name = nameOf(address);
    return this.#request("create", address.address, () => {
      const found = this.objects.get(name);
      if (found) return { is: "there", address: found } as const;
      const made = { ...address, uid: `u${++this.#uids}` };
      this.objects.set(name, made);
      this.#tell({ type: "set", address: made });
      return { is: "created", address: made } as const;
    });
  }

  update(
    address: NetworkAddress,
    { over }: { readonly over: StoredAddress },
  ): Promise<StoredAddress | undefined> {
    return this.#request("update", address.address, () => {
      const found = this.objects.get(nameOf(address));
      if (!found || JSON.stringify(found) !== JSON.stringify(over)) return undefined;
      const made = { ...address, uid: found.uid };
      this.objects.set(nameOf(address), made);
      this.#tell({ type: "set", address: made });
      return made;
    });
  }

  get(address: NetworkAddress): Promise<StoredAddress | undefined> {
    return this.#request("get", address.address, () => this.objects.get(nameOf(address)));
  }

  remove(address: StoredAddress): Promise<void> {
    return this.#request("delete", address.address, () => {
      if (this.objects.get(nameOf(address))?.uid === address.uid) this.deleteByHand(address);
    });
  }

  deleteByHand(address: NetworkAddress): void {
    const found = this.objects.get(nameOf(address))!;
    this.objects.delete(nameOf(address));
    this.#tell({ type: "deleted", address: found });
  }

  /** All watches end and list again. */
  relist(): void {
    for (const tell of this.#watches) tell({ type: "failed", cause: "the watch has ended" });
  }

  async *follow(selection: Selection, signal: AbortSignal): AsyncGenerator<AddressNews> {
    const selects = ({ network, owner }: NetworkAddress) =>
      selection.by === "network" ? network === selection.network : owner.node === selection.node;
    const changes = new Notifier();
    const queue: AddressNews[] = [];
    const tell = (news: AddressNews) => {
      if ("address" in news && !selects(news.address)) return;
      queue.push(news);
      changes.notify();
    };
    this.#watches.add(tell);
    try {
      while (!signal.aborted) {
        yield { type: "listing" };
        const items = await this.#request(
          "list",
          "",
          () => [...this.objects.values()].filter(selects),
        );
        for (const address of items) yield { type: "set", address };
        yield { type: "listed" };
        for (let isOver = false; !isOver && !signal.aborted;) {
          const news = queue.shift();
          if (news) {
            isOver = news.type === "failed";
            yield news;
          } else await changes.next(signal).catch(() => {});
        }
      }
    } finally {
      this.#watches.delete(tell);
    }
  }

  async #request<T>(request: AddressRequest, address: string, work: () => T): Promise<T> {
    this.asked.push(`${request} ${address}`.trim());
    await this.before(request, address);
    const answer = work();
    await this.after(request, address);
    return answer;
  }

  #tell(news: AddressNews): void {
    if (!this.isSilent) { for (const tell of this.#watches) tell(news); }
  }
}

function nameOf({ network, address }: NetworkAddress): string {
  return addressObjectName(network, address);
}
