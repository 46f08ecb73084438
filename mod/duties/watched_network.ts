import type { CountedPools } from "./counted_pools.ts";
import type { NetworkStatus } from "./network_status.ts";

/** Keeps a deleted Network until nothing uses it. */
export const FINALIZER = "dra.networking/in-use";

/** What is kept of each Network. */
export interface WatchedNetwork {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly finalizers: readonly string[];
  readonly isDeleting: boolean;
  readonly pools: CountedPools | undefined;
  readonly invalid: string | undefined;
  readonly status: NetworkStatus | undefined;
}

/** What a spec says of a network. */
export type ReadSpec =
  | { readonly invalid: string }
  | { readonly pools: CountedPools | undefined };

/** @param object as the API server has validated it; @param read reads its spec, and does not throw */
export function watchedNetwork(
  object: unknown,
  read: (object: unknown) => ReadSpec,
): WatchedNetwork {
  const { metadata, status } = object as {
    readonly metadata: {
      readonly name: string;
      readonly uid: string;
      readonly resourceVersion: string;
      readonly generation?: number;
      readonly finalizers?: readonly string[];
      readonly deletionTimestamp?: string;
    };
    readonly status?: NetworkStatus;
  };
  const spec = read(object);
  return {
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    generation: metadata.generation ?? 0,
    finalizers: metadata.finalizers ?? [],
    isDeleting: metadata.deletionTimestamp !== undefined,
    pools: "pools" in spec ? spec.pools : undefined,
    invalid: "invalid" in spec ? spec.invalid : undefined,
    status,
  };
}
