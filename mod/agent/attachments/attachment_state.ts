import type { Attached, AttachmentPhase, ForgetCause, Lost } from "../model.ts";

/**
 * The state of one attachment: its desired state and its situation. The situation describes in one
 * word what is observed and what is on disk, so that impossible combinations of the two cannot be
 * expressed.
 */
export interface AttachmentState {
  readonly desired: Desired;
  readonly situation: Situation;
  /** Why the last attempt failed, and since when attempts have failed. */
  readonly failure?: Failure;
}

/** The desired state of an attachment. */
export type Desired =
  /** It must be in the pod. */
  | { readonly kind: "present" }
  /** Its sandbox has stopped, or its claim is being released. */
  | { readonly kind: "absent" }
  /** It must be removed even if its DEL fails. */
  | { readonly kind: "given_up"; readonly why: ForgetCause };

/** What is known of an attachment in the pod, and of its record on disk. */
export type Situation =
  /** No ADD has begun, or DEL has undone it; no record. */
  | { readonly kind: "nothing" }
  /**
   * An earlier run of the agent may have attached it. `record`: there is one without a result
   * ("begun"), one that cannot be read, or none (the state folder was lost).
   */
  | { readonly kind: "unknown"; readonly record: "none" | "unreadable" | "begun" }
  /** The interface's name is free in the pod and the intent is on record: ADD comes next. */
  | { readonly kind: "intended"; readonly purpose: Purpose }
  /** ADD runs. */
  | { readonly kind: "adding"; readonly purpose: Purpose }
  /**
   * ADD failed, or a DEL that may have undone a part of it: DEL must follow. `record`: it does not
   * say so yet, it does, or it could not be written. `foreign`: an interface with that name, now or
   * later, belongs to another plugin, and DEL must not see it. `attached`: what is to be undone,
   * where that is known.
   */
  | {
    readonly kind: "failed";
    readonly record: "begun" | "failed" | "not_written";
    readonly foreign: boolean;
    readonly purpose: Purpose;
    readonly attached?: Attached;
  }
  /** What an earlier run left is incomplete: DEL must follow. */
  | { readonly kind: "leftover" }
  /** DEL has succeeded; the record still exists. */
  | { readonly kind: "undone"; readonly purpose: Purpose }
  /** Attached as ADD left it. */
  | { readonly kind: "there"; readonly record: ResultRecord; readonly attached: Attached }
  /** Attached, but no longer as ADD left it. */
  | {
    readonly kind: "lost";
    readonly record: ResultRecord;
    readonly attached: Attached;
    readonly lost: Lost;
  }
  /** Lost, to be attached again. */
  | {
    readonly kind: "repairing";
    readonly record: ResultRecord;
    readonly attached: Attached;
    readonly lost: Lost;
  };

/** Whether ADD attaches for the first time, or repairs a lost attachment. */
export type Purpose = "attach" | "repair";

/** Whether the record has the result of ADD: the current one, an older one, or none. */
export type ResultRecord = "none" | "begun" | "older" | "result";

/** Attempts have failed since `since`; the last one with `error`. */
export interface Failure {
  readonly error: Error;
  /** RFC 3339. */
  readonly since: string;
  /** The same moment by the monotonic clock, in milliseconds. */
  readonly sinceMs: number;
}

/** Events of an attachment: changes of the desired state, results of CHECK, outcomes of effects. */
export type AttachmentEvent =
  | { readonly kind: "unwanted" }
  | { readonly kind: "given_up"; readonly why: ForgetCause }
  | { readonly kind: "found_lost"; readonly lost: Lost; readonly repair: boolean }
  /** CHECK finds it as ADD left it. `at`: RFC 3339. */
  | { readonly kind: "found_intact"; readonly at: string }
  | { readonly kind: "intent_recorded" }
  | { readonly kind: "record_rewritten" }
  | { readonly kind: "recalled"; readonly attached?: Attached }
  | { readonly kind: "add_began" }
  | { readonly kind: "add_succeeded"; readonly attached: Attached }
  /** `foreign`: another plugin's interface has the name, or the ADD left no interface. */
  | { readonly kind: "add_failed"; readonly foreign: boolean }
  | { readonly kind: "failure_recorded" }
  | { readonly kind: "failure_not_recorded" }
  | { readonly kind: "del_succeeded" }
  /** `foreign`: the interface is gone nevertheless. */
  | { readonly kind: "del_failed"; readonly foreign: boolean }
  | { readonly kind: "record_removed" }
  /** Carries what was written: it may have changed meanwhile. */
  | { readonly kind: "result_recorded"; readonly attached: Attached; readonly lost?: Lost }
  | { readonly kind: "result_dropped" }
  /** `at`: RFC 3339; `atMs`: by the monotonic clock. */
  | {
    readonly kind: "try_failed";
    readonly error: Error;
    readonly at: string;
    readonly atMs: number;
  }
  | { readonly kind: "try_succeeded" };

/** The next effect. Each effect results in one of the events named. */
export type Effect =
  /** Check that the interface's name is free in the pod, and record the intent: intent_recorded. */
  | { readonly kind: "record_intent" }
  /** Rewrite a record that cannot be read: record_rewritten. */
  | { readonly kind: "rewrite_record" }
  /** Find out what an earlier run left: recalled. */
  | { readonly kind: "recall" }
  /** Note on record that it begins: add_began, then add_succeeded or add_failed. */
  | { readonly kind: "add" }
  /** Record that ADD failed, so that a restart knows: failure_recorded or failure_not_recorded. */
  | { readonly kind: "record_failure"; readonly foreign: boolean }
  /** del_succeeded or del_failed. "none": without the namespace, which frees leases and touches no interface. */
  | { readonly kind: "del"; readonly namespace: "pod" | "none"; readonly attached?: Attached }
  /** record_removed. */
  | { readonly kind: "remove_record" }
  /** result_recorded. */
  | { readonly kind: "record_result"; readonly attached: Attached; readonly lost?: Lost }
  /**
   * Check that an ADD is possible, and record that the result is no longer valid: result_dropped.
   */
  | { readonly kind: "drop_result" };

/** The state of a wanted attachment about which nothing is known. */
export const NEW: AttachmentState = {
  desired: { kind: "present" },
  situation: { kind: "nothing" },
};

/** The state according to a record of an earlier run. */
export function restored(
  { attached, lost, add, addFailed, foreign = false }: {
    readonly attached?: Attached;
    readonly lost?: Lost;
    readonly add?: "pending" | "started";
    readonly addFailed?: true;
    readonly foreign?: boolean;
  },
): AttachmentState {
  return { desired: { kind: "present" }, situation: situation() };

  function situation(): Situation {
    if (attached && lost) return { kind: "lost", record: "result", attached, lost };
    if (attached) return { kind: "there", record: "result", attached };
    // The interface with the name is not ours. DEL runs nevertheless: a power cut may have undone
    // the note.
    if (add === "pending") {
      return { kind: "failed", record: "failed", foreign: true, purpose: "attach" };
    }
    if (!addFailed) return { kind: "unknown", record: "begun" };
    return { kind: "failed", record: "failed", foreign, purpose: "attach" };
  }
}

/**
 * The state of a wanted attachment that an earlier run may have created, without a readable record.
 */
export function unknown(record: "none" | "unreadable"): AttachmentState {
  return { desired: { kind: "present" }, situation: { kind: "unknown", record } };
}

/**
 * Returns the state after an event. Pure.
 *
 * @throws Error for an event that is impossible in this state, which is a bug in the caller
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { isGone, NEW, nextEffect, transition } from "./attachment_state.ts";
 *
 * const recorded = transition(NEW, { kind: "intent_recorded" });
 * assert.deepEqual(nextEffect(recorded, { started: false }), { kind: "add" });
 * const unwanted = transition(recorded, { kind: "unwanted" });
 * assert.deepEqual(nextEffect(unwanted, { started: false }), { kind: "remove_record" });
 * assert.ok(isGone(transition(unwanted, { kind: "record_removed" })));
 * ```
 */
export function transition(state: AttachmentState, event: AttachmentEvent): AttachmentState {
  switch (event.kind) {
    case "unwanted":
      return state.desired.kind === "present" ? leaving(state, { kind: "absent" }) : state;
    case "given_up":
      return leaving(state, { kind: "given_up", why: event.why });
    case "try_failed": {
      const { since, sinceMs } = state.failure ?? { since: event.at, sinceMs: event.atMs };
      return { ...state, failure: { error: event.error, since, sinceMs } };
    }
    case "try_succeeded":
      return withoutFailure(state);
    case "add_succeeded":
      return { ...withoutFailure(state), situation: after(state, event) };
    default:
      return { ...state, situation: after(state, event) };
  }
}

/**
 * The cause of a failed attach says nothing about its DEL, and an unwanted attachment is not
 * repaired.
 */
function leaving(state: AttachmentState, desired: Desired): AttachmentState {
  const { situation } = state;
  const kept = state.desired.kind === "present" ? withoutFailure(state) : state;
  return {
    ...kept,
    desired,
    situation: situation.kind === "repairing" ? { ...situation, kind: "lost" } : situation,
  };
}

function withoutFailure({ desired, situation }: AttachmentState): AttachmentState {
  return { desired, situation };
}

function after({ desired, situation }: AttachmentState, event: AttachmentEvent): Situation {
  switch (event.kind) {
    case "found_lost":
      if (hasResult(situation)) {
        const { lost: before, attached, record } = { lost: undefined, ...situation };
        const kind = event.repair && desired.kind === "present" ? "repairing" : "lost";
        // Only a new reason counts as a change: the message may differ each time.
        if (before?.reason === event.lost.reason) return { kind, record, attached, lost: before };
        const lost = { ...event.lost, since: before?.since ?? event.lost.since };
        return { kind, record: outdated(record), attached, lost };
      }
      break;
    case "found_intact":
      if (situation.kind === "there") {
        const { record, attached } = situation;
        if (attached.checked) return situation;
        return {
          kind: "there",
          record: outdated(record),
          attached: { ...attached, checked: true },
        };
      }
      if (hasResult(situation)) {
        // It is ready from now on, not since it was attached.
        const attached = { ...situation.attached, at: event.at, checked: true } as const;
        return { kind: "there", record: outdated(situation.record), attached };
      }
      break;
    case "intent_recorded":
      if (situation.kind === "nothing") return { kind: "intended", purpose: "attach" };
      if (situation.kind === "undone") return { kind: "intended", purpose: situation.purpose };
      break;
    case "record_rewritten":
      if (situation.kind === "unknown") return { kind: "unknown", record: "begun" };
      break;
    case "recalled":
      if (situation.kind === "unknown") {
        const { attached } = event;
        const isRecorded = situation.record === "begun";
        if (attached) return { kind: "there", record: isRecorded ? "begun" : "none", attached };
        return { kind: isRecorded ? "leftover" : "nothing" };
      }
      break;
    case "add_began":
      if (situation.kind === "intended") return { ...situation, kind: "adding" };
      break;
    case "add_succeeded":
      if (situation.kind === "adding") {
        return { kind: "there", record: "begun", attached: event.attached };
      }
      break;
    case "add_failed":
      if (situation.kind === "adding") {
        const { purpose } = situation;
        return { kind: "failed", record: "begun", foreign: event.foreign, purpose };
      }
      break;
    case "failure_recorded":
      if (situation.kind === "failed") return { ...situation, record: "failed" };
      break;
    case "failure_not_recorded":
      if (situation.kind === "failed") return { ...situation, record: "not_written" };
      break;
    case "del_succeeded":
      return undone(situation);
    case "del_failed":
      // An attachment that was given up is removed nevertheless.
      if (desired.kind === "given_up") return undone(situation);
      return afterFailedDel(situation, { isWanted: desired.kind === "present", ...event });
    case "record_removed":
      if (situation.kind === "intended" || situation.kind === "undone") return { kind: "nothing" };
      break;
    case "result_recorded":
      if (hasResult(situation)) {
        const { attached, lost } = { lost: undefined, ...situation };
        const isNow = attached === event.attached && lost === event.lost;
        return { ...situation, record: isNow ? "result" : "older" };
      }
      break;
    case "result_dropped":
      // CHECK may have found it intact meanwhile: then its result is recorded anew.
      if (hasResult(situation)) return { ...situation, record: "begun" };
      break;
  }
  throw new Error(`an attachment that is ${situation.kind} cannot handle the event ${event.kind}`);
}

/** A failed DEL may have undone a part, and what another plugin makes from then on is not ours. */
function afterFailedDel(
  situation: Situation,
  { isWanted, foreign }: { readonly isWanted: boolean; readonly foreign: boolean },
): Situation {
  if (hasResult(situation)) {
    const { record, attached } = situation;
    // The result on record tells which interface is ours, also after a restart.
    const isTold = record === "older" || record === "result";
    if (!isWanted && (isTold || !foreign)) return situation;
    // CHECK may not notice which part is gone: the repair goes on.
    const said = foreign ? "begun" : "failed";
    return { kind: "failed", record: said, foreign, purpose: "repair", attached };
  }
  if (situation.kind === "failed") {
    const isOnRecord = situation.record === "failed" && !foreign;
    if (isOnRecord) return situation;
    return { ...situation, record: "begun", foreign: situation.foreign || foreign };
  }
  if (!foreign || !isRecorded(situation)) return situation;
  return { kind: "failed", record: "begun", foreign, purpose: "attach" };
}

function undone(situation: Situation): Situation {
  if (!isRecorded(situation)) return { kind: "nothing" };
  const isRepair = situation.kind === "repairing" ||
    situation.kind === "failed" && situation.purpose === "repair";
  return { kind: "undone", purpose: isRepair ? "repair" : "attach" };
}

function outdated(record: ResultRecord): ResultRecord {
  return record === "result" ? "older" : record;
}

/**
 * The next effect for the attachment; undefined if there is none, or while ADD runs.
 *
 * @param options.started whether the sandbox has containers, which may use what is there
 */
export function nextEffect(
  { desired, situation }: AttachmentState,
  { started }: { readonly started: boolean },
): Effect | undefined {
  if (desired.kind !== "present") return nextToDetach(situation, desired.kind);
  switch (situation.kind) {
    case "nothing":
    case "undone":
      // Even if there is a record: that an earlier ADD failed says nothing about the next one.
      return { kind: "record_intent" };
    case "unknown":
      switch (situation.record) {
        case "none":
          return { kind: "recall" };
        case "unreadable":
          return { kind: "rewrite_record" };
        case "begun":
          // Without containers it is attached again, which harms nobody.
          return started ? { kind: "recall" } : { kind: "del", namespace: "pod" };
      }
      break;
    case "intended":
      return { kind: "add" };
    case "adding":
      return undefined;
    case "failed":
      if (situation.record === "begun") {
        return { kind: "record_failure", foreign: situation.foreign };
      }
      return delOf(situation, "pod");
    case "leftover":
      return { kind: "del", namespace: "pod" };
    case "there":
    case "lost":
      return toRecord(situation);
    case "repairing":
      if (situation.record !== "begun") return { kind: "drop_result" };
      return { kind: "del", namespace: "pod", attached: situation.attached };
  }
}

function nextToDetach(situation: Situation, desired: "absent" | "given_up"): Effect | undefined {
  const namespace = desired === "given_up" ? "none" : "pod";
  switch (situation.kind) {
    case "nothing":
    case "adding":
      return undefined;
    case "intended":
    case "undone":
      return { kind: "remove_record" };
    case "unknown":
      // Without a record, the interface may belong to anyone.
      return { kind: "del", namespace: situation.record === "none" ? "none" : namespace };
    case "failed":
      // The next agent must not take it for ours either.
      if (situation.record === "begun" && situation.foreign) {
        return { kind: "record_failure", foreign: true };
      }
      return delOf(situation, namespace);
    case "leftover":
      return { kind: "del", namespace };
    case "there":
    case "lost":
    case "repairing":
      return { kind: "del", namespace, attached: situation.attached };
  }
}

function delOf(
  { foreign, attached }: Situation & { readonly kind: "failed" },
  namespace: "pod" | "none",
): Effect {
  return { kind: "del", namespace: foreign ? "none" : namespace, ...(attached && { attached }) };
}

function toRecord(situation: Situation & { kind: "there" | "lost" }): Effect | undefined {
  const { record, attached } = situation;
  if (record === "result") return undefined;
  const { lost } = { lost: undefined, ...situation };
  return { kind: "record_result", attached, ...(lost && { lost }) };
}

/** Nothing is left of an attachment that must go. */
export function isGone({ desired, situation }: AttachmentState): boolean {
  return desired.kind !== "present" && situation.kind === "nothing";
}

/** Whether a record is on disk that names it. */
export function isRecorded(situation: Situation): boolean {
  switch (situation.kind) {
    case "nothing":
      return false;
    case "unknown":
      return situation.record === "begun";
    case "there":
    case "lost":
    case "repairing":
      return situation.record !== "none";
    default:
      return true;
  }
}

/**
 * Whether containers may start. By then the result must be on disk; otherwise, the agent that
 * follows one that dies here would consider the attachment incomplete and attach it again under the
 * running containers.
 */
export function isReady({ situation }: Pick<AttachmentState, "situation">): boolean {
  return hasResult(situation) && (situation.record === "older" || situation.record === "result");
}

/** Whether a DEL must run although no ADD is known to have succeeded. */
export function mayNeverHaveBeen(situation: Situation): boolean {
  const { kind } = situation;
  return kind === "failed" && !situation.attached || kind === "leftover" || kind === "unknown";
}

/** The state as metrics and users see it. */
export function phaseOf({ desired, situation, failure }: AttachmentState): AttachmentPhase {
  if (desired.kind !== "present") return failure ? "detach_failed" : "detaching";
  if (situation.kind === "there") return "attached";
  if (hasResult(situation)) return "lost";
  return failure ? "attach_failed" : "attaching";
}

/** Whether ADD has succeeded and its result is known; narrows the type. */
export function hasResult(
  situation: Situation,
): situation is Situation & { readonly kind: "there" | "lost" | "repairing" } {
  return situation.kind === "there" || situation.kind === "lost" ||
    situation.kind === "repairing";
}
