import type { ClaimRef } from "../../mod/claim/attachment.ts";
import type { Link, NetNamespace } from "./network.ts";
import type { PlannedClaim, PlannedNetwork, PlannedPod } from "./plan.ts";

/** A claim as the cluster knows it. */
export interface Claim {
  readonly plan: PlannedClaim;
  ref: ClaimRef;
  /** kubectl sorts the keys of a claim's parameters. */
  readonly createdBy: "kubectl" | "program";
  /** Of its allocation; undefined while it has none. */
  node: string | undefined;
  readonly users: Set<Pod>;
}

export interface Pod {
  readonly plan: PlannedPod;
  readonly name: string;
  readonly uid: string;
  readonly claims: readonly Claim[];
  sandbox: Sandbox | undefined;
  sandboxes: number;
  /** Whether it shall end. */
  deleting: boolean;
  /** Whether it has ended on its node. */
  gone: boolean;
  /** Wakes its life up. */
  wake: () => void;
  /** It came to a claim that was just being unprepared, and its kubelet no longer prepares that. */
  unprepared: boolean;
}

export interface Container {
  readonly name: string;
  readonly hasMount: boolean;
  state: "created" | "running" | "stopped";
}

export interface Sandbox {
  readonly id: string;
  readonly pod: Pod;
  readonly namespace: NetNamespace;
  /** Broken: the runtime ended while it was made. */
  state: "making" | "running" | "stopped" | "gone" | "broken";
  /** Its containers end: what it has may go. */
  ending: boolean;
  /** Whether another sandbox of the pod came before. */
  readonly isFirst: boolean;
  readonly containers: Container[];
  /** What its containers started with, by the interface's name; it must stay. */
  readonly vouched: Map<string, Link>;
  /** What CHECK has said wrongly so many times in a row, by the interface's name. */
  readonly lies: Map<string, number>;
  /** The runtime says nothing of its end. */
  forgotten: boolean;
}

/** One network of a pod, and its claim. */
export type PodNetwork = PlannedNetwork & { readonly claim: Claim };

export function networksOf(pod: Pod): PodNetwork[] {
  return pod.claims.flatMap((claim) =>
    claim.plan.networks.map((network) => ({ claim, ...network }))
  );
}

/** What there is of a claim's network in a sandbox. */
export function linkOf(sandbox: Sandbox, network: string): Link | undefined {
  const prefix = `${network}/${sandbox.id}/`;
  return [...sandbox.namespace.links.values()].find(({ owner }) => owner.startsWith(prefix));
}
