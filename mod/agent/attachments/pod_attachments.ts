import type { Attachment, ClaimRef } from "../../claim/attachment.ts";
import { NOT_NEEDED } from "../../async/aborted.ts";
import { type Backoff, pauseAfter } from "../../async/backoff.ts";
import { errorForUsers, errorMessage } from "../../async/error_message.ts";
import { FIRST } from "../../async/limiter.ts";
import { Notifier } from "../../async/notifier.ts";
import type { Attached, AttachmentRecord, Finding, ForgetCause, Lost, Sandbox } from "../model.ts";
import type { Cni, Events, Traces } from "../ports.ts";
import {
  type AttachmentEvent,
  type AttachmentState,
  type Effect,
  hasResult,
  isGone,
  mayNeverHaveBeen,
  NEW,
  nextEffect,
  restored,
  unknown,
} from "./attachment_state.ts";
import { attachmentKey, type AttachmentView, differ } from "./attachment_view.ts";
import { CniOperations, type CniOperationsPorts, isAnother } from "./cni_operations.ts";
import { type EffectPorts, Effects } from "./effects.ts";
import { ReadyGate } from "./ready_gate.ts";
import { AttachmentReports } from "./reports.ts";
import type { SandboxLook, WorkLook } from "./sandbox_look.ts";
import { TrackedAttachment } from "./tracked_attachment.ts";

/** Retries come early enough for the kubelet's first one (0.4 s), and often enough for those after (11 s). */
const RETRY: Backoff = { first: 200, most: 8_000 };

/**
 * How long a DEL that cannot be expected to succeed is retried: its plugin is no longer on the node
 * (an upgrade of the plugins takes far less time), or its ADD is not known to have succeeded, and
 * the cause (most often the configuration) makes the DEL fail, too. The pod has already ended;
 * otherwise nothing would be detached.
 */
const HOPELESS_AFTER_MS = 30 * 60_000;

/** What the attachments of one sandbox need. */
export interface PodAttachmentsPorts extends CniOperationsPorts, EffectPorts {
  readonly cni: Cni;
  readonly events: Events;
  readonly traces: Pick<Traces, "idOf">;
}

/**
 * The result of CHECK for an attachment. "unproven": it failed although the interface is there, and
 * no CHECK has ever found the attachment intact: CHECK may fail for what its own ADD has created.
 */
export type CheckOutcome = Finding | { readonly state: "unproven"; readonly cause: string };

/** What the worker is doing. */
type Work =
  | { readonly kind: "idle" }
  /** `askedFor`: there was a request since the pass began; then no pause follows it. */
  | { readonly kind: "passing"; askedFor: boolean }
  | { readonly kind: "pausing"; readonly until: Date; end(): void };

/**
 * The networks of one sandbox: one worker, which carries out the effects of each attachment's
 * state, one CNI operation at a time (CNI SPEC: operations of one container are serial), and
 * retries failed ones with backoff.
 */
export class PodAttachments {
  readonly sandbox: Sandbox;
  readonly #ports: PodAttachmentsPorts;
  readonly #reports: AttachmentReports;
  readonly #cni: CniOperations;
  readonly #effects: Effects;
  readonly #gate: ReadyGate;
  readonly #publish: (claim: ClaimRef) => void;
  readonly #attachments = new Map<string, TrackedAttachment>();
  readonly #changes = new Notifier();
  #stopped = false;
  /** Whether containers were created before the agent could make them wait. */
  #started = false;
  readonly #closing = new AbortController();
  #work: Work = { kind: "idle" };
  #worked: Promise<void> = Promise.resolve();
  /** The CHECK under way; whatever else is to be done ends it. */
  #checking: { readonly interrupt: AbortController; readonly done: Promise<unknown> } | undefined;
  #passes = 0;
  /** Drawn for each pass, so that the networks of a sandbox come in a row. */
  #number = FIRST;

  /** @param publish is told of each change of one of a claim's attachments */
  constructor(sandbox: Sandbox, ports: PodAttachmentsPorts, publish: (claim: ClaimRef) => void) {
    this.sandbox = sandbox;
    this.#ports = ports;
    this.#reports = new AttachmentReports(sandbox, ports);
    this.#cni = new CniOperations(sandbox, ports);
    this.#gate = new ReadyGate(this, this.#changes);
    this.#effects = new Effects(ports, { source: this, cni: this.#cni, reports: this.#reports });
    this.#publish = publish;
  }

  get entries(): readonly AttachmentView[] {
    return [...this.#attachments.values()].map(({ view }) => view);
  }

  /** Everything of one claim. */
  of(claimUid: string): AttachmentView[] {
    return this.#ofClaim(claimUid).map(({ view }) => view);
  }

  /** The attachment as it is now; undefined when it is gone. */
  current(entry: Pick<AttachmentView, "claim" | "attachment">): AttachmentView | undefined {
    const tracked = this.#trackedOf(entry);
    return tracked?.view;
  }

  /** All of it as it is now, in values that stay as they are. */
  look(): SandboxLook {
    return {
      sandbox: this.sandbox,
      stopped: this.#stopped,
      started: this.#started,
      work: this.#lookAtWork(),
      attachments: [...this.#attachments.values()].map(({ view, since, tries }) => ({
        view,
        since,
        tries,
      })),
    };
  }

  /** True once the sandbox has stopped: from then on attachments are only removed. */
  get stopped(): boolean {
    return this.#stopped;
  }

  get idle(): boolean {
    return this.#attachments.size === 0 && this.#work.kind === "idle";
  }

  get started(): boolean {
    return this.#started;
  }

  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  attachments(): Iterable<TrackedAttachment> {
    return this.#attachments.values();
  }

  turn(): number {
    return this.#gate.isWaitedAt ? FIRST : this.#number;
  }

  get passes(): number {
    return this.#passes;
  }

  tryNow(): void {
    if (this.#work.kind === "pausing") this.#work.end();
  }

  /** Takes over what the journal holds from an earlier run. Nothing is done until want(), stop() or release(). */
  restore(record: AttachmentRecord): void {
    const { claim, attachment, attached } = record;
    const lateAttachReported = attached !== undefined;
    const state = restored(record);
    const now = () => this.#ports.clock.now();
    const tracked = new TrackedAttachment({ claim, attachment, state, now, lateAttachReported });
    if (record.add) tracked.intent = record;
    this.#attachments.set(attachmentKey(claim, attachment), tracked);
  }

  /** The runtime reports that the sandbox already has containers. */
  containersStarted(): void {
    this.#started = true;
  }

  /**
   * Attaches, in the order given, those that are not attached yet. Returns at once.
   *
   * @param options.isUnreadable whether it may be there already, and its record cannot be read
   */
  want(
    claim: ClaimRef,
    attachments: readonly Attachment[],
    { isUnreadable = () => false }: {
      readonly isUnreadable?: (attachment: Attachment) => boolean;
    } = {},
  ): void {
    if (this.#stopped) return;
    // Running containers may use what an agent attached whose state is lost.
    const fresh = this.#started ? unknown("none") : NEW;
    for (const attachment of attachments) {
      const key = attachmentKey(claim, attachment);
      if (this.#attachments.has(key)) continue;
      const state = isUnreadable(attachment) ? unknown("unreadable") : fresh;
      const now = () => this.#ports.clock.now();
      this.#attachments.set(key, new TrackedAttachment({ claim, attachment, state, now }));
    }
    this.#wake();
  }

  /** The sandbox has stopped: detaches all. Returns at once, holding the network namespace. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#cni.holdNamespace();
    for (const each of this.#attachments.values()) each.apply({ kind: "unwanted" });
    this.#wake();
  }

  /** Detaches what belongs to one claim. Returns at once. */
  release(claimUid: string): void {
    for (const each of this.#ofClaim(claimUid)) each.apply({ kind: "unwanted" });
    this.#wake();
  }

  /**
   * Gives up what is left of a claim after one more DEL without the namespace, whatever its result.
   * Returns at once.
   *
   * @param tell is told what may be left on the node
   */
  giveUp(claimUid: string, why: ForgetCause, tell?: (left: string) => void): void {
    for (const each of this.#ofClaim(claimUid)) {
      each.tellLeft = tell;
      each.apply({ kind: "given_up", why });
    }
    this.#wake();
  }

  /** Resolves when nothing of the claim is left here. */
  async released(claimUid: string, signal: AbortSignal): Promise<void> {
    while (this.#ofClaim(claimUid).length > 0) await this.#changes.next(signal);
  }

  /**
   * The gate of CreateContainer: resolves when every wanted attachment is there. Rejects with the
   * cause if an attempt has failed, or if the signal is aborted first.
   */
  ready(signal: AbortSignal): Promise<void> {
    return this.#gate.pass(signal);
  }

  /**
   * CNI CHECK of an attachment. It never delays other work: it returns undefined if there is other
   * work for this sandbox, even if that comes up meanwhile, or if the signal is aborted.
   */
  async check(entry: AttachmentView, until: AbortSignal): Promise<CheckOutcome | undefined> {
    const tracked = this.#trackedOf(entry);
    const busy = this.#work.kind === "passing" || this.#checking;
    if (!tracked || busy || this.#stopped || this.#closing.signal.aborted) return undefined;
    const { state, attachment } = tracked;
    if (state.desired.kind !== "present" || !hasResult(state.situation)) return undefined;
    const { attached } = state.situation;
    const interrupt = new AbortController();
    const signal = AbortSignal.any([interrupt.signal, until]);
    const done = this.#cni.check(tracked, attached.result, signal).then(
      (finding) => this.#judge(finding, { attachment, attached, signal }),
    );
    this.#checking = { interrupt, done };
    const finding = await done;
    this.#checking = undefined;
    const { situation } = tracked.state;
    const isSame = hasResult(situation) && situation.attached === attached;
    return signal.aborted || !isSame ? undefined : finding;
  }

  /** CHECK found that it is not as ADD left it. Returns at once. */
  markLost(
    entry: AttachmentView,
    { reason, message, repair }: Pick<Lost, "reason" | "message"> & { readonly repair: boolean },
  ): void {
    const lost = { reason, message, since: this.#now() };
    this.#found(entry, { kind: "found_lost", lost, repair });
  }

  /** CHECK found it as ADD left it. Returns at once. */
  markIntact(entry: AttachmentView): void {
    this.#found(entry, { kind: "found_intact", at: this.#now() });
  }

  /** Puts on record that CHECK has found attachments intact, once all have been looked at. Returns at once. */
  recordChecks(): void {
    this.#wake();
  }

  /** Lets the running operation finish and starts nothing new; the rest is in the journal. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("the agent stops"));
    this.tryNow();
    await this.#endChecking();
    await this.#worked;
    this.#cni.releaseNamespace();
  }

  #lookAtWork(): WorkLook {
    switch (this.#work.kind) {
      case "idle":
        return { kind: "idle" };
      case "passing":
        return { kind: "passing", operation: this.#cni.current };
      case "pausing":
        return { kind: "pausing", until: this.#work.until };
    }
  }

  #ofClaim(claimUid: string): TrackedAttachment[] {
    return [...this.#attachments.values()].filter(({ claim }) => claim.uid === claimUid);
  }

  #trackedOf(
    { claim, attachment }: Pick<AttachmentView, "claim" | "attachment">,
  ): TrackedAttachment | undefined {
    return this.#attachments.get(attachmentKey(claim, attachment));
  }

  #now(): string {
    return this.#ports.clock.now().toISOString();
  }

  #found(entry: AttachmentView, event: AttachmentEvent): void {
    const tracked = this.#trackedOf(entry);
    if (!tracked || !hasResult(tracked.state.situation)) return;
    const before = tracked.view;
    tracked.apply(event);
    if (!differ(before, tracked.view) && tracked.state.situation.kind === "there") return;
    this.#publish(tracked.claim);
    if (this.#isToDo(tracked)) this.#wake();
  }

  async #judge(
    finding: Finding | undefined,
    { attachment, attached, signal }: {
      readonly attachment: Attachment;
      readonly attached: Attached;
      readonly signal: AbortSignal;
    },
  ): Promise<CheckOutcome | undefined> {
    if (finding?.state !== "lost" || attached.checked) return finding;
    try {
      const interfaces = await this.#cni.interfaces(signal);
      const present = interfaces?.get(attachment.ifName);
      const isThere = present !== undefined && !isAnother(present, attached);
      return isThere ? { state: "unproven", cause: finding.cause } : finding;
    } catch (error) {
      return { state: "unknown", cause: errorMessage(error) };
    }
  }

  async #endChecking(): Promise<void> {
    this.#checking?.interrupt.abort(new Error("there is something else to do"));
    await this.#checking?.done;
  }

  #wake(): void {
    switch (this.#work.kind) {
      case "idle":
        if (!this.#closing.signal.aborted && this.#unfinished()) this.#worked = this.#workOn();
        break;
      case "passing":
        this.#work.askedFor = true;
        break;
      case "pausing":
        this.#work.end();
    }
  }

  async #workOn(): Promise<void> {
    let failures = 0;
    while (!this.#closing.signal.aborted && this.#unfinished()) {
      const pass: Work & { kind: "passing" } = { kind: "passing", askedFor: false };
      this.#work = pass;
      // The first step of every pass is asynchronous, so a hook that wakes the worker returns first.
      await Promise.resolve();
      pass.askedFor = false;
      this.#number = this.#ports.limiter.drawNumber();
      this.#effects.forgetSeen();
      await this.#endChecking();
      const failed = await this.#pass();
      this.#passes++;
      failures = failed ? failures + 1 : 0;
      this.#changes.notify();
      if (failed && !pass.askedFor) await this.#pause(pauseAfter(failures, RETRY));
    }
    if (this.#attachments.size === 0) this.#cni.releaseNamespace();
    this.#work = { kind: "idle" };
    this.#changes.notify();
  }

  #unfinished(): boolean {
    return [...this.#attachments.values()].some((each) => this.#isToDo(each));
  }

  #isToDo({ state }: TrackedAttachment): boolean {
    return isGone(state) || this.#next(state) !== undefined;
  }

  #next(state: AttachmentState): Effect | undefined {
    return nextEffect(state, this);
  }

  /** One attempt at everything that is to be done; true if something failed. */
  async #pass(): Promise<boolean> {
    let failed = false;
    for (const each of [...this.#attachments.values()].toReversed()) {
      if (each.isWanted || this.#closing.signal.aborted) continue;
      failed = !await this.#try("detach", each, () => this.#detach(each)) || failed;
    }
    return !await this.#attachAll() || failed;
  }

  /** The operations run one after the other; writes to disk delay none of them. */
  async #attachAll(): Promise<boolean> {
    const toDo = [...this.#attachments.values()].filter((each) =>
      each.isWanted && this.#isToDo(each)
    );
    await this.#recordIntents(toDo);
    const records: Promise<boolean>[] = [];
    let succeeded = true;
    for (const each of toDo) {
      // Read again for each: the sandbox may have stopped during the operation before.
      if (!each.isWanted || this.#closing.signal.aborted) continue;
      const isMade = this.#next(each.state)?.kind === "record_result";
      if (isMade || await this.#try("attach", each, () => this.#make(each))) {
        records.push(this.#try("attach", each, () => this.#finish(each)));
      } else succeeded = false;
    }
    return !(await Promise.all(records)).includes(false) && succeeded;
  }

  /** Records the intents of several ADDs together; if that fails, each is retried in its turn. */
  async #recordIntents(toDo: readonly TrackedAttachment[]): Promise<void> {
    if (this.#closing.signal.aborted || !this.#cni.canAdd()) return;
    const fresh = toDo.filter((each) =>
      each.state.situation.kind === "nothing" && this.#effects.canBegin(each)
    );
    await Promise.allSettled(
      fresh.map((each) => this.#effects.carryOut(each, { kind: "record_intent" })),
    );
  }

  async #try(
    step: "attach" | "detach",
    tracked: TrackedAttachment,
    work: () => Promise<void>,
  ): Promise<boolean> {
    const before = tracked.view;
    try {
      await work();
      tracked.apply({ kind: "try_succeeded" });
      return true;
    } catch (thrown) {
      // Operations that were waiting for their turn are left to the next agent.
      if (this.#closing.signal.aborted && thrown === this.#closing.signal.reason) return false;
      const error = errorForUsers(thrown);
      const { clock } = this.#ports;
      tracked.apply({ kind: "try_failed", error, at: this.#now(), atMs: clock.elapsed() });
      this.#reports.failed(step, tracked.view, before.failure?.error);
      if (tracked.isRepair) this.#ports.metrics.repaired("error");
      const why = step === "detach" ? this.#hopeless(tracked) : undefined;
      if (why) {
        tracked.apply({ kind: "given_up", why });
        this.#wake();
      }
      return false;
    } finally {
      const after = this.current(tracked);
      if (!after || differ(before, after)) this.#publish(tracked.claim);
      this.#changes.notify();
    }
  }

  /** Until it is there, but for its record. */
  async #make(tracked: TrackedAttachment): Promise<void> {
    for (let effect; (effect = this.#next(tracked.state)) && tracked.isWanted;) {
      if (effect.kind === "record_result") return;
      await this.#effects.carryOut(tracked, effect);
    }
  }

  async #finish(tracked: TrackedAttachment): Promise<void> {
    const effect = this.#next(tracked.state);
    if (effect?.kind === "record_result") await this.#effects.carryOut(tracked, effect);
  }

  async #detach(tracked: TrackedAttachment): Promise<void> {
    const began = this.#ports.clock.elapsed();
    for (let effect; (effect = this.#next(tracked.state));) {
      await this.#effects.carryOut(tracked, effect);
    }
    this.#attachments.delete(attachmentKey(tracked.claim, tracked.attachment));
    this.#reports.done("detached", tracked.view, this.#ports.clock.elapsed() - began);
  }

  /**
   * Why its DEL, which has failed for a long time, need not be retried; undefined if it must be.
   */
  #hopeless({ state, attachment }: TrackedAttachment): ForgetCause | undefined {
    const { clock, cni } = this.#ports;
    if (state.desired.kind === "given_up") return undefined;
    if (clock.elapsed() - state.failure!.sinceMs < HOPELESS_AFTER_MS) return undefined;
    if (cni.missingPlugins(attachment.network).length > 0) return "plugin_missing";
    return mayNeverHaveBeen(state.situation) ? "never_attached" : undefined;
  }

  async #pause(ms: number): Promise<void> {
    const ended = new AbortController();
    const until = new Date(this.#ports.clock.now().getTime() + ms);
    this.#work = { kind: "pausing", until, end: () => ended.abort(NOT_NEEDED) };
    const signal = AbortSignal.any([ended.signal, this.#closing.signal]);
    await this.#ports.clock.sleep(ms, signal).catch(() => {});
  }
}
