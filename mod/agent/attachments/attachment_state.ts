import type { Attachment, ClaimRef } from "../../claim/attachment.ts";
import type { Attached, AttachmentState, ForgetCause, Lost } from "../model.ts";

/** One attachment of the sandbox, wanted or on its way out. */
export interface Entry {
  readonly claim: ClaimRef;
  readonly attachment: Attachment;
  /** Whether it shall be there; false once its sandbox stopped or its claim was unprepared. */
  wanted: boolean;
  /** Whether the journal holds a record: ADD may have begun, so DEL is owed. */
  recorded: boolean;
  /** Whether that record was written before its turn came, and no ADD has begun. */
  intended: boolean;
  /** Whether the record on disk says what `attached` says. */
  saved: boolean;
  /** Whether the record on disk has a result of the ADD, be it an older telling of it. */
  resultSaved: boolean;
  attached?: Attached;
  /** Set while it is attached, but not as ADD left it. */
  lost?: Lost;
  /** Whether it shall be made anew although it is attached: it is lost. */
  repair: boolean;
  /** Whether an ADD of an earlier run may have succeeded of which no result is on disk. */
  uncertain: boolean;
  /** Whether the last ADD failed: it was never there, or is not any more. */
  addFailed: boolean;
  /** Whether nobody needs to be told that it comes after the containers. */
  lateAttachReported: boolean;
  /** Set once it shall go whatever its DEL says: why, and who wants to know what is left then. */
  givenUp?: { readonly why: ForgetCause; readonly tell?: (left: string) => void };
  /** Why the last try failed, and since when tries have failed (RFC 3339). */
  failure?: { readonly error: Error; readonly since: string };
}

/**
 * Whether containers may start. The result is on disk by then, or an agent that dies here would take
 * the attachment for half done and make it anew under the running containers.
 */
export function isReady({ attached, resultSaved }: Entry): boolean {
  return attached !== undefined && resultSaved;
}

/** Whether a wanted attachment is not what or as it shall be. */
export function isToDo({ attached, saved, repair }: Entry): boolean {
  return !attached || !saved || repair;
}

/** It shall go. */
export function unwant(entry: Entry): void {
  // Why it could not be attached says nothing of the DEL.
  if (entry.wanted) entry.failure = undefined;
  entry.wanted = false;
  entry.repair = false;
}

export function stateOf({ wanted, attached, lost, failure }: Entry): AttachmentState {
  if (!wanted) return failure ? "detach_failed" : "detaching";
  if (attached) return lost ? "lost" : "attached";
  return failure ? "attach_failed" : "attaching";
}

/** Whether what is to be done has not been tried to its end yet. */
export function isUntried(entry: Entry): boolean {
  const state = stateOf(entry);
  return state === "attaching" || state === "detaching";
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
