import { type Backoff, pauseAfter } from "../async/backoff.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import type { NetworkAddress, StoredAddress } from "./address_object.ts";
import type { FollowedNetworks } from "./followed_networks.ts";
import { isKeptFor } from "./kept_addresses.ts";
import { isSameOwner, isStored, type OwnAddress, type OwnAddresses } from "./own_addresses.ts";
import { type AddressApi, AddressApiError } from "./ports.ts";

/** Between two tries of a request that had no answer. */
const RETRY: Backoff = { first: 200, most: 2_000 };

/** Whose an address is after it was asked for. */
export type Asked =
  | { readonly is: "ours"; readonly address: StoredAddress }
  /** The holder is undefined if it was not asked for, or cannot be read. */
  | { readonly is: "another's"; readonly holder: NetworkAddress | undefined };

export interface AddressRequestsOptions {
  readonly api: AddressApi;
  readonly clock: Clock;
  readonly own: OwnAddresses;
  readonly networks: Pick<FollowedNetworks, "view">;
}

/** Takes one address, or gives one back, whatever answers are lost; keeps what is known in step. */
export class AddressRequests {
  readonly #options: AddressRequestsOptions;

  constructor(options: AddressRequestsOptions) {
    this.#options = options;
  }

  /**
   * Creates the object of an address, or finds that it is there. Without an answer, the address stays
   * among those of its owner: it may be there.
   *
   * @param options.whose whether whoever has it matters, which costs a request
   * @throws Error with the address and the cause
   */
  async take(
    address: NetworkAddress,
    { whose = true, signal }: { readonly whose?: boolean; readonly signal: AbortSignal },
  ): Promise<Asked> {
    const { api, own, networks } = this.#options;
    const { pod } = address.owner;
    const known = own.at(address);
    if (known && !isSameOwner(known.owner, address.owner) && !isKeptFor(known, pod)) {
      return { is: "another's", holder: known };
    }
    if (!known) own.put(address);
    let tries = 0;
    try {
      const answer = await this.#persist(() => {
        // It may be ours if this process has asked for it before, and had no answer.
        const asked = known !== undefined || tries++ > 0;
        return api.create(address, { whose: whose || asked, signal });
      }, signal);
      const there = answer.address;
      const found = there && isKeptFor(there, pod)
        ? await this.#persist(() => api.update(address, { over: there, signal }), signal)
        : there;
      if (found && isSameOwner(found.owner, address.owner)) {
        own.put(found);
        networks.view(found.network)?.set(found);
        return { is: "ours", address: found };
      }
      own.drop(address);
      return { is: "another's", holder: found };
    } catch (error) {
      const isRefused = error instanceof AddressApiError && error.outcome === "refused";
      if (!known && isRefused && tries === 1) this.#forget(address);
      throw new Error(
        `cannot take address ${address.address} of network ${address.network}: ` +
          errorMessage(error),
        { cause: error },
      );
    }
  }

  /**
   * Gives back an address, unless it is another's by now.
   *
   * @param options.keepMs for how long it stays with its pod's name; 0 if it is free
   * @throws Error with the address and the cause
   */
  async giveBack(
    address: OwnAddress,
    { keepMs, signal }: { readonly keepMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const { api, clock, own, networks } = this.#options;
    try {
      let found = isStored(address) ? address : await this.#read(address, signal);
      while (found && isSameOwner(found.owner, address.owner)) {
        const over: StoredAddress = found;
        if (over.keptUntil !== undefined) {
          own.put(over);
          networks.view(over.network)?.set(over);
          return;
        }
        signal.throwIfAborted();
        if (keepMs > 0) {
          const keptUntil = new Date(clock.now().getTime() + keepMs).toISOString();
          const keep = () => api.update({ ...over, keptUntil }, { over, signal });
          found = await this.#persist(keep, signal) ?? await this.#read(address, signal);
        } else {
          const removed = await this.#persist(() => api.remove(over, signal), signal);
          if (removed === "gone") return this.#forget(over);
          found = await this.#read(address, signal);
        }
      }
      if (found) own.drop(address);
      else this.#forget(address);
    } catch (error) {
      throw new Error(
        `cannot give back address ${address.address} of network ${address.network}: ` +
          `${errorMessage(error)}; the agent tries again`,
        { cause: error },
      );
    }
  }

  #read(address: NetworkAddress, signal: AbortSignal): Promise<StoredAddress | undefined> {
    return this.#persist(() => this.#options.api.get(address, signal), signal);
  }

  /** This node does not have the address. */
  #forget(address: OwnAddress): void {
    const { own, networks } = this.#options;
    own.drop(address);
    networks.view(address.network)?.delete(address.address);
  }

  /** Makes a request again while it has no answer. @throws what it came to last */
  async #persist<T>(request: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock } = this.#options;
    for (let failures = 1;; failures++) {
      try {
        return await request();
      } catch (error) {
        const isUnknown = error instanceof AddressApiError && error.outcome === "unknown";
        if (!isUnknown || signal.aborted) throw error;
        await clock.sleep(pauseAfter(failures, RETRY), signal).catch(() => {});
        if (signal.aborted) throw error;
      }
    }
  }
}

/** Names whoever has an address, for messages. */
export function describeHolder(holder: NetworkAddress | undefined): string {
  if (!holder) return "a NetworkAddress that the agent did not write, and cannot read";
  const { pod, node } = holder.owner;
  if (holder.keptUntil !== undefined) {
    return `pod ${pod.namespace}/${pod.name}, for whose name it is kept until ${holder.keptUntil}`;
  }
  return `pod ${pod.namespace}/${pod.name} on node ${node}`;
}
