import { Notifier } from "../async/notifier.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import type { StoredAddress } from "./address_object.ts";
import { Taken } from "./free_address.ts";
import { KeptAddresses } from "./kept_addresses.ts";
import type { AddressApi } from "./ports.ts";
import type { Family } from "./ip_range.ts";

/**
 * Which addresses of one network are taken, as far as this node knows: it says where to look for a
 * free one. Whether one is free, its create decides.
 */
export class NetworkView {
  readonly #network: string;
  readonly #changes = new Notifier();
  #taken = new Taken();
  /** What is taken while the list is being read, and what this process takes meanwhile. */
  #listing: Taken | undefined;
  /** Those that are kept for pods, by what the API server has said last. */
  #kept = new KeptAddresses();
  /** What this process has added, and no list or watch has told of yet. */
  readonly #untold = new Set<string>();
  #isListed = false;
  #problem = "the API server has not answered yet";

  constructor(network: string) {
    this.#network = network;
  }

  /** Keeps up with the API server until the signal is aborted. */
  async run(api: AddressApi, signal: AbortSignal): Promise<void> {
    for await (const each of api.follow({ by: "network", network: this.#network }, signal)) {
      switch (each.type) {
        case "listing":
          this.#listing = new Taken();
          this.#kept = new KeptAddresses();
          break;
        case "set":
          (this.#listing ?? this.#taken).add(each.address.address);
          this.#kept.set(each.address);
          this.#told(each.address);
          break;
        case "deleted":
          (this.#listing ?? this.#taken).delete(each.address.address);
          this.#kept.delete(each.address);
          this.#told(each.address);
          break;
        case "listed":
          this.#taken = this.#listing!;
          this.#listing = undefined;
          this.#isListed = true;
          this.#untold.clear();
          this.#changes.notify();
          break;
        case "failed":
          this.#problem = each.cause;
      }
    }
  }

  /** Resolves once the API server has listed them. @throws Error with the cause */
  async listed(signal: AbortSignal): Promise<void> {
    while (!this.#isListed) {
      await this.#changes.next(signal).catch((error) => {
        throw new Error(
          `cannot tell which addresses of network ${this.#network} are free: ${this.#problem}`,
          { cause: error },
        );
      });
    }
  }

  /** Resolves once a watch has told of an address that was added: what came before it is known by then. */
  async caughtUp(address: string, signal: AbortSignal): Promise<void> {
    while (this.#untold.has(address)) await this.#changes.next(signal);
  }

  has(address: string): boolean {
    return this.#taken.has(address) || this.#listing?.has(address) === true;
  }

  bits(block: bigint, family: Family): number {
    return this.#taken.bits(block, family);
  }

  /** What this process has made of an address: a watch may not have told of it yet. */
  set(address: StoredAddress): void {
    this.#kept.set(address);
  }

  /** The addresses that are kept for a pod of this name. */
  keptFor(pod: ClaimRef): StoredAddress[] {
    return this.#kept.of(pod);
  }

  /** Someone has it, or this process asks for it. */
  add(address: string): void {
    this.#taken.add(address);
    this.#listing?.add(address);
    this.#untold.add(address);
  }

  delete(address: string): void {
    this.#taken.delete(address);
    this.#listing?.delete(address);
    this.#untold.delete(address);
  }

  #told({ address }: StoredAddress): void {
    if (this.#untold.delete(address)) this.#changes.notify();
  }
}
