/** What people see of what the agent keeps: plain values, which a status document is made of. */
import type { ClaimRef } from "../../claim/attachment.ts";
import type { AttachmentPhase, PodRef } from "../model.ts";

/**
 * The state of an attachment: a phase of the agent's, or "unknown" where only a record tells that its
 * ADD has begun.
 */
export type AttachmentStateName = AttachmentPhase | "unknown";

/** One network of one sandbox. Times are RFC 3339. */
export interface AttachmentSnapshot {
  readonly pod: PodRef;
  /** The sandbox's ID. */
  readonly sandbox: string;
  readonly claim: ClaimRef;
  /** As the allocation names it: `request` or `request/subrequest`. */
  readonly request: string;
  readonly device: string;
  /** The name of the CNI network, and the types of its plugins. */
  readonly network: string;
  readonly plugins: readonly string[];
  /** In the pod. */
  readonly interface: string;
  readonly mac?: string;
  /** CIDR. */
  readonly addresses: readonly string[];
  readonly state: AttachmentStateName;
  /** Absent where only a record tells of it that has no time. */
  readonly since?: string;
  /** Why the last try failed, or why it is lost. */
  readonly error?: string;
  /** Tries that have failed since the last one that did not. */
  readonly tries?: number;
  /** What it waits for, in words. */
  readonly waitsFor?: string;
  readonly nextTry?: string;
}

/** "refused": the last Prepare failed; "prepared": no sandbox uses it; else that of the worst of its attachments. */
export type ClaimStateName = "refused" | "prepared" | AttachmentStateName;

/** A claim that was prepared, or that could not be. */
export interface ClaimSnapshot extends ClaimRef {
  readonly state: ClaimStateName;
  /** The pods that it is reserved for, by name. */
  readonly pods: readonly string[];
  readonly devices: readonly string[];
  /** Attachments that there are of it. */
  readonly attachments: number;
  readonly error?: string;
  readonly since?: string;
  readonly tries?: number;
  readonly waitsFor?: string;
}

/** A pod's sandbox that has networks, or had. */
export interface SandboxSnapshot {
  readonly id: string;
  readonly pod: PodRef;
  /** "unknown": only records tell of it. */
  readonly state: "running" | "stopped" | "unknown";
  readonly netns?: string;
  readonly attachments: number;
}

/** A device of the node, and how much it is used. */
export interface DeviceSnapshot {
  readonly name: string;
  /** The node's interface behind it; absent for networks that need none, and where only records tell of it. */
  readonly interface?: string;
  /** "unknown": only records tell of it. */
  readonly state: "up" | "down" | "gone" | "unknown";
  readonly claims: number;
  readonly attachments: number;
}

/** From the state that is worst to the one that is best. */
export const STATES: readonly AttachmentStateName[] = [
  "attach_failed",
  "lost",
  "detach_failed",
  "unknown",
  "attaching",
  "detaching",
  "attached",
];

/** The worst of some states; undefined of none. */
export function worst(states: Iterable<AttachmentStateName>): AttachmentStateName | undefined {
  let index = Infinity;
  for (const state of states) index = Math.min(index, STATES.indexOf(state));
  return STATES[index];
}
