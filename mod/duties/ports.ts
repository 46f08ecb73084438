/** What the duties for the whole cluster need of the API server. Adapters implement these interfaces. */
import type { LiveAddress, ObjectId } from "./address_use.ts";
import type { NetworkStatus } from "./network_status.ts";

/** A Lease (coordination.k8s.io/v1), as far as it decides who holds it. */
export interface Lease {
  /** Empty if nobody holds it. */
  readonly holder: string;
  /** By the holder's clock: others only look whether it changes. */
  readonly renewTime: string;
  /** Milliseconds without a renewal after which others may take it. */
  readonly duration: number;
  /** How often it has changed hands. */
  readonly transitions: number;
}

/** A Lease as it was read: a write succeeds only if it has not changed since. */
export interface ReadLease extends Lease {
  readonly resourceVersion: string;
}

/** The one Lease of the duties. */
export interface LeaseApi {
  /** Undefined if there is none. */
  read(signal: AbortSignal): Promise<ReadLease | undefined>;
  /**
   * Writes it over the one that was read; creates it where there was none. "conflict" if somebody else
   * has written it meanwhile.
   */
  write(
    lease: Lease,
    options: { readonly over: ReadLease | undefined; readonly signal: AbortSignal },
  ): Promise<ReadLease | "conflict">;
}

/** What collecting addresses asks of the API server. Every answer is as it is at that moment. */
export interface CollectorApi {
  /** The names of all Nodes. */
  nodes(signal: AbortSignal): Promise<ReadonlySet<string>>;
  hasNode(name: string, signal: AbortSignal): Promise<boolean>;
  /** Whether the pod with this UID is there. */
  hasPod(pod: ObjectId, signal: AbortSignal): Promise<boolean>;
  /** Whether the claim with this UID is there, and reserved for the pod with that UID. */
  isReserved(
    claim: ObjectId,
    options: { readonly pod: ObjectId; readonly signal: AbortSignal },
  ): Promise<boolean>;
  /** The NetworkAddress of that name; undefined if there is none. */
  address(name: string, signal: AbortSignal): Promise<LiveAddress | undefined>;
  /** Deletes an address that is still as it was read; returns whether it was. */
  remove(address: LiveAddress, signal: AbortSignal): Promise<boolean>;
}

/** What looking after Networks writes, and reads besides them. */
export interface NetworkApi {
  /** Writes the status of the Network with this UID. Resolves also if it is gone. */
  writeStatus(
    network: { readonly name: string; readonly uid: string },
    options: { readonly status: NetworkStatus; readonly signal: AbortSignal },
  ): Promise<void>;
  /** Writes its finalizers, unless it has changed since it was read: then somebody looks again later. */
  writeFinalizers(
    network: { readonly name: string; readonly uid: string; readonly resourceVersion: string },
    options: { readonly finalizers: readonly string[]; readonly signal: AbortSignal },
  ): Promise<void>;
  /** The pages of all claims. */
  claims(signal: AbortSignal): AsyncIterable<readonly unknown[]>;
}
