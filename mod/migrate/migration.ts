import type { Manifest } from "../manifests/manifest.ts";
import type { Finding, NetworkOutcome, WorkloadOutcome } from "./finding.ts";

/** An object to write, with what a person must know of it. */
export interface Commented {
  readonly object: Manifest;
  /** Sentences, above the object. */
  readonly comments: readonly string[];
}

export interface PatchedWorkload extends Commented {
  /** As it was, without what a cluster has added. */
  readonly before: Manifest;
  /** A strategic merge patch that makes `object` of `before`. */
  readonly patch: Manifest;
}

/** What replaces the objects for Multus. */
export interface Migration {
  /** Networks, for addresses of the whole cluster. */
  readonly networks: readonly Commented[];
  readonly classes: readonly Commented[];
  readonly templates: readonly Commented[];
  readonly workloads: readonly PatchedWorkload[];
  readonly networkOutcomes: readonly NetworkOutcome[];
  readonly workloadOutcomes: readonly WorkloadOutcome[];
  readonly findings: readonly Finding[];
}
