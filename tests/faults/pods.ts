import type { ClaimRef } from "../../mod/claim/attachment.ts";
import type { Life, NetworkName, PlannedClaim } from "./schedule.ts";

/** One attachment that a pod's claim asks for. */
export interface Wanted {
  readonly claim: Claim;
  readonly device: string;
  readonly interface: string;
  readonly network: NetworkName;
}

/** A claim as kubelet and scheduler know it. */
export interface Claim {
  readonly plan: PlannedClaim;
  readonly ref: ClaimRef;
  /** Pods that it is reserved for. */
  readonly users: Set<Pod>;
  /** Whether several pods were meant to use it. */
  shared: boolean;
  prepared: boolean;
  cdiDevices: readonly string[];
  readonly wanted: Wanted[];
}

/** A pod as its kubelet knows it. */
export interface Pod {
  readonly life: Life;
  readonly name: string;
  readonly uid: string;
  /** The round's number. */
  readonly bornIn: number;
  readonly claims: readonly Claim[];
  /** The sandboxes that it has had; the last is the one in use. */
  readonly sandboxes: Sandbox[];
  ending: boolean;
  /** One step of a pod at a time. */
  turn: Promise<unknown>;
  /** What a kubelet that was restarted prepares of it again, at any time. */
  anew: Promise<void>;
}

export interface Sandbox {
  readonly id: string;
  readonly pod: Pod;
  /** Path of its network namespace; none on the host's network. */
  readonly netns?: string;
  state: "running" | "stopped" | "gone";
  /** Names of the containers that were created in it. */
  readonly containers: string[];
  /** Since when all attachments were there and none may go (uptime). */
  attachedSince?: number;
  /** Since when its attachments may go (uptime). */
  endsSince?: number;
  /** Its interfaces with their hardware addresses, when they were first seen all. */
  links?: ReadonlyMap<string, string>;
  /** Whether containers started without networks while the agent was away. */
  startedWithout: boolean;
}

export function wantedBy(pod: Pod): Wanted[] {
  return pod.claims.flatMap(({ wanted }) => wanted);
}

/** The sandbox in use, while it runs. */
export function runningSandbox(pod: Pod): Sandbox | undefined {
  const last = pod.sandboxes.at(-1);
  return last?.state === "running" ? last : undefined;
}
