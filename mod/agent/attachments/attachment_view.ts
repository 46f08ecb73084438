import type { Attachment, ClaimRef } from "../../claim/attachment.ts";
import type { Attached, AttachmentPhase, Lost } from "../model.ts";
import {
  type AttachmentState,
  type Failure,
  hasResult,
  isReady,
  isRecorded,
  phaseOf,
} from "./attachment_state.ts";

/** What others see of an attachment, as it was when they asked: status, health, metrics, admission. */
export interface AttachmentView {
  readonly claim: ClaimRef;
  readonly attachment: Attachment;
  readonly phase: AttachmentPhase;
  /** Whether it must be in the pod; false once its sandbox stopped or its claim is released. */
  readonly wanted: boolean;
  /** Whether containers may start. */
  readonly ready: boolean;
  /** Whether something of it may be on the node: ADD may have begun, now or in an earlier run. */
  readonly mayExist: boolean;
  /** Whether it is not yet known what an earlier run left. */
  readonly unknown: boolean;
  /** Whether a record on disk names it. */
  readonly recorded: boolean;
  readonly attached?: Attached;
  /** Set while it is attached, but not as ADD left it. */
  readonly lost?: Lost;
  readonly failure?: Failure;
}

/** The view of an attachment in this state. */
export function viewOf(
  { claim, attachment, state }: {
    readonly claim: ClaimRef;
    readonly attachment: Attachment;
    readonly state: AttachmentState;
  },
): AttachmentView {
  const { desired, situation, failure } = state;
  const unknown = situation.kind === "unknown";
  return {
    claim,
    attachment,
    phase: phaseOf(state),
    wanted: desired.kind === "present",
    ready: isReady(state),
    mayExist: isRecorded(situation) || unknown,
    unknown,
    recorded: isRecorded(situation),
    ...(hasResult(situation) && { attached: situation.attached }),
    ...(hasResult(situation) && situation.kind !== "there" && { lost: situation.lost }),
    ...(failure && { failure }),
  };
}

/** Whether anyone who sees the one after the other has to act: what is only put on record shows nowhere. */
export function differ(one: AttachmentView, other: AttachmentView): boolean {
  return one.phase !== other.phase || one.ready !== other.ready || one.unknown !== other.unknown ||
    one.failure?.error !== other.failure?.error || one.lost?.reason !== other.lost?.reason ||
    one.attached?.result !== other.attached?.result || one.attached?.at !== other.attached?.at;
}

/** Whether what is to be done has not been tried to its end yet. */
export function isUntried({ phase }: Pick<AttachmentView, "phase">): boolean {
  return phase === "attaching" || phase === "detaching";
}

/** The claims of which there is something, each once. */
export function claimsOf(things: readonly { readonly claim: ClaimRef }[]): ClaimRef[] {
  return [...new Map(things.map(({ claim }) => [claim.uid, claim])).values()];
}

/** Identifies an attachment within a sandbox (design decision 4). */
export function attachmentKey(claim: ClaimRef, attachment: Attachment): string {
  const { request, pool, device, shareID } = attachment;
  return JSON.stringify([claim.uid, request, pool, device, shareID ?? ""]);
}
