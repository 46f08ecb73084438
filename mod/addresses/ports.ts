/** What the addresses of the cluster need from outside. Adapters implement these interfaces. */
import type { NetworkAddress, StoredAddress } from "./address_object.ts";

/** Which addresses are followed: those of a network, or those that a node has taken. */
export type Selection =
  | { readonly by: "network"; readonly network: string }
  | { readonly by: "node"; readonly node: string };

/** What became of a create: the object's name is the lock. */
export type Created =
  | { readonly is: "created"; readonly address: StoredAddress }
  /** An object of that name is there; undefined if it was not asked whose, or nobody can read it. */
  | { readonly is: "there"; readonly address: StoredAddress | undefined };

/** What became of a removal: the object has changed since it was read, so that it is to be judged again. */
export type Removed = "gone" | "changed";

/** What happens to the addresses of a selection. */
export type AddressNews =
  /** All follow as "set"; those that are known and do not come again are gone. */
  | { readonly type: "listing" }
  /** All have come; from now on each change follows. */
  | { readonly type: "listed" }
  | { readonly type: "set" | "deleted"; readonly address: StoredAddress }
  /** Until the next "listing", nothing is told; the cause is a sentence. */
  | { readonly type: "failed"; readonly cause: string };

/** The NetworkAddresses in the API server. Every wait has a limit. */
export interface AddressApi {
  /**
   * @param options.whose whether it matters whose an object of that name is: that is another request
   * @throws AddressApiError
   */
  create(
    address: NetworkAddress,
    options: { readonly whose: boolean; readonly signal: AbortSignal },
  ): Promise<Created>;
  /** The object as it is now; undefined if there is none. @throws AddressApiError */
  get(address: NetworkAddress, signal: AbortSignal): Promise<StoredAddress | undefined>;
  /**
   * Removes the object if it still is as it was read: with this UID and resourceVersion. "gone" also if
   * someone else has removed it.
   *
   * @throws AddressApiError
   */
  remove(address: StoredAddress, signal: AbortSignal): Promise<Removed>;
  /**
   * Writes an address over the object with the UID, if that still is as it was: with the same owner,
   * and kept until the same time. Asked again after it was done, it answers the same.
   *
   * @returns undefined if the object has changed, or is gone
   * @throws AddressApiError
   */
  update(
    address: NetworkAddress,
    options: { readonly over: StoredAddress; readonly signal: AbortSignal },
  ): Promise<StoredAddress | undefined>;
  /** Follows the addresses of a selection until the signal is aborted. Does not throw. */
  follow(selection: Selection, signal: AbortSignal): AsyncIterable<AddressNews>;
}

/** A request for an address came to nothing. The message is a sentence. */
export class AddressApiError extends Error {
  override readonly name = "AddressApiError";
  /**
   * "unknown": there was no answer, or none that tells whether it was done. "refused": it was not
   * done, and would not be if it were asked again now.
   */
  readonly outcome: "unknown" | "refused";

  constructor(message: string, outcome: "unknown" | "refused", options?: ErrorOptions) {
    super(message, options);
    this.outcome = outcome;
  }
}

/** How a request for addresses ended, as a label of metrics. */
export type TakeResult = "ok" | "exhausted" | "error";

/** The verbs of requests about addresses, as a label of metrics. A list counts by its pages. */
export type AddressRequest = "create" | "get" | "update" | "delete" | "list" | "watch";

/** Counts what happens to addresses. Every method returns at once. */
export interface AddressMetrics {
  /** An attachment got its addresses, or did not. */
  taken(result: TakeResult): void;
  /** An address that seemed free was another attachment's. */
  conflicted(): void;
  /** The number of addresses that this node has now. */
  held(count: number): void;
  /** The API server was asked. */
  requested(request: AddressRequest): void;
}
