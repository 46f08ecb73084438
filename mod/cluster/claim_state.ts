import type { EventsByObject } from "./events_by_object.ts";
import type { ClaimObject, ConditionObject, EventObject, PodObject } from "./objects.ts";
import { type AttachmentView, CLAIM_PHASES, type ClaimState } from "./picture.ts";

/** A claim, the pods that name it, and what was said of them. */
export interface ClaimUse {
  readonly claim: ClaimObject;
  readonly users: readonly PodObject[];
  /** About the claim, the latest first. */
  readonly events: readonly EventObject[];
  readonly podEvents: EventsByObject;
}

/** Reasons of events that say why a claim has no network: the agent's, and the kubelet's of Prepare. */
const FAILURES: readonly string[] = [
  "FailedPrepareDynamicResources",
  "NetworkAttachFailed",
  "NetworkRefusedByPolicy",
];

const DETACH: readonly string[] = ["NetworkDetachFailed"];

/** Reasons of conditions of a network that was there. */
const LOSSES: readonly string[] = ["NetworkInterfaceLost", "DeviceRemoved"];

/** How an allocated device is doing. @param ready its condition, once the agent has written one */
export function attachmentState(use: ClaimUse, ready: ConditionObject | undefined): ClaimState {
  if (isEnding(use)) return ending(use);
  if (ready) {
    const { reason, message, since } = ready;
    if (ready.status === "True") return { phase: "attached", reason, message, since };
    return { phase: LOSSES.includes(reason) ? "lost" : "failed", reason, message, since };
  }
  const { claim } = use;
  if (claim.reservedFor.length === 0) return { phase: "allocated" };
  const failure = latest(use, FAILURES);
  return failure ? said("failed", failure) : { phase: "attaching" };
}

/** How a claim as a whole is doing: as the worst of its attachments. */
export function claimState(
  use: ClaimUse,
  attachments: readonly AttachmentView[],
): ClaimState {
  const { claim, users } = use;
  if (!claim.allocation) {
    if (claim.deleting) return { phase: "detaching" };
    const waiting = users.find(({ unscheduled }) => unscheduled !== undefined);
    if (!waiting) return { phase: "unallocated" };
    return { phase: "unallocated", reason: "Unschedulable", message: waiting.unscheduled! };
  }
  const states = attachments.map(({ state }) => state);
  const [worst] = states.toSorted((one, other) =>
    CLAIM_PHASES.indexOf(one.phase) - CLAIM_PHASES.indexOf(other.phase)
  );
  return worst ?? { phase: "allocated" };
}

/** Whether nobody will use it any more: it is being deleted, or all its pods have ended or end. */
function isEnding(use: ClaimUse): boolean {
  const { claim, users } = use;
  if (claim.deleting) return true;
  // Where pods are not read: the agent detaches only when the pod ends.
  if (claim.reservedFor.length === 1 && latest(use, DETACH)) return true;
  return claim.reservedFor.length > 0 && claim.reservedFor.every(({ uid }) => {
    const pod = users.find((each) => each.uid === uid);
    return pod && (pod.terminating || pod.phase === "Succeeded" || pod.phase === "Failed");
  });
}

function ending(use: ClaimUse): ClaimState {
  const failure = latest(use, DETACH);
  return failure ? said("detaching", failure) : { phase: "detaching" };
}

function said(phase: ClaimState["phase"], { reason, message, last }: EventObject): ClaimState {
  return { phase, reason, message, since: last };
}

/** The latest event of one of the reasons about the claim, or about a pod and this claim of it. */
function latest(
  { claim, users, events, podEvents }: ClaimUse,
  reasons: readonly string[],
): EventObject | undefined {
  const only = new Set(users.filter(({ claims }) => claims.length === 1).map(({ uid }) => uid));
  const uids = new Set([...users, ...claim.reservedFor].map(({ uid }) => uid));
  const ofPods = [...uids].flatMap((uid) =>
    (podEvents.get(uid) ?? []).filter(({ message }) => only.has(uid) || mentions(message, claim))
  );
  return [...events, ...ofPods].filter(({ reason }) => reasons.includes(reason))
    .toSorted((one, other) => one.last < other.last ? 1 : -1)[0];
}

/** Whether a message names a claim, as the agent and the kubelet do, and no other whose name begins so. */
export function mentions(
  message: string,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): boolean {
  const names = [`claim ${namespace}/${name}`, `ResourceClaim ${name}`, `"${name}"`];
  return names.some((each) => {
    const at = message.indexOf(each);
    return at >= 0 && !/^[a-z0-9-]/.test(message.slice(at + each.length));
  });
}
