/** What a node's networks are read from. Adapters implement these interfaces. */
import type { NetworkList } from "../claim/network_list.ts";

/** A network in a file of the node. */
export interface FileNetwork {
  readonly network: NetworkList;
  readonly file: string;
}

/** The networks in files of the node, as they are now. */
export interface FileNetworks {
  readonly names: readonly string[];
  /** Undefined if no file holds a network of that name. */
  readonly find: (name: string) => FileNetwork | undefined;
  /** The end of a sentence on a network that is not there: where it was looked for. */
  readonly where: string;
}

/** Reads the networks in files of the node. */
export interface NetworkFileSource {
  /** Does not reject: a file that cannot be read is left out and logged. */
  read(): Promise<FileNetworks>;
}

/** What is known of the objects of one kind. */
export type Known<T> =
  /** By name, or by NAMESPACE/NAME. */
  | { readonly state: "known"; readonly objects: ReadonlyMap<string, T> }
  /** The cluster does not have the kind. */
  | { readonly state: "not served" }
  /** They cannot be read; the cause is a sentence. */
  | { readonly state: "unreadable"; readonly cause: string };

/** The objects of one kind in the cluster, kept up to date. */
export interface KnownObjects<T> {
  /**
   * What is known of them now. Waits for the first answer of the API server, and for nothing after
   * that. Rejects only if the signal is aborted.
   */
  look(signal: AbortSignal): Promise<Known<T>>;
}
