import type { Attachment } from "../../claim/attachment.ts";
import type { Attached, AttachmentRecord, Interfaces, Sandbox } from "../model.ts";
import type { Clock } from "../../async/clock.ts";
import { errorMessage } from "../../async/error_message.ts";
import { describeAttachment } from "../describe.ts";
import type { Cni, Journal, Metrics } from "../ports.ts";
import { type Effect, isRecorded, nextEffect } from "./attachment_state.ts";
import type { AttachmentView } from "./attachment_view.ts";
import { type CniOperations, saysNameExists } from "./cni_operations.ts";
import type { RecoveryOptions } from "./recovery.ts";
import type { AttachmentReports } from "./reports.ts";
import type { TrackedAttachment } from "./tracked_attachment.ts";

/** What carrying out effects needs outside the sandbox. */
export interface EffectPorts {
  readonly cni: Pick<Cni, "verify">;
  readonly journal: Pick<Journal, "putAttachment" | "noteAddStarted" | "removeAttachment">;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "repaired" | "forgotten">;
  /** @throws Error when another pod has the interface that its ADD would move */
  readonly assertInterfaceFree: (attachment: AttachmentView) => void;
  /** Finds out what became of an ADD of an earlier run; undefined when it came to nothing. */
  readonly recall: (
    record: AttachmentRecord,
    pod: Pick<RecoveryOptions, "runtime" | "interfaces" | "signal">,
  ) => Promise<Attached | undefined>;
}

/** The sandbox whose attachments the effects belong to. */
export interface EffectSource {
  readonly sandbox: Sandbox;
  /** Whether containers were created before the agent could keep them waiting. */
  readonly started: boolean;
  readonly closing: AbortSignal;
  /** All attachments of the sandbox. */
  attachments(): Iterable<TrackedAttachment>;
  /** Where an operation stands in the line of those of the node. */
  turn(): number;
}

/** Carries out what the state of an attachment asks for, and applies the event that comes of it. */
export class Effects {
  readonly #ports: EffectPorts;
  readonly #source: EffectSource;
  readonly #cni: CniOperations;
  readonly #reports: AttachmentReports;
  /** The interfaces in the pod as they were seen last; undefined until someone looks, and after a DEL. */
  #seen: Promise<Interfaces | undefined> | undefined;

  constructor(
    ports: EffectPorts,
    { source, cni, reports }: {
      readonly source: EffectSource;
      readonly cni: CniOperations;
      readonly reports: AttachmentReports;
    },
  ) {
    this.#ports = ports;
    this.#source = source;
    this.#cni = cni;
    this.#reports = reports;
  }

  /** Whether an intent could be recorded now, as far as that can be told without a look at the pod. */
  canBegin(tracked: TrackedAttachment): boolean {
    return !this.#rivalOf(tracked) && this.#isInterfaceFree(tracked);
  }

  /** What was seen in the pod may have changed: it is looked at again. */
  forgetSeen(): void {
    this.#seen = undefined;
  }

  /** Carries out one effect. Rejects when it came to nothing; the state says what is next. */
  async carryOut(tracked: TrackedAttachment, effect: Effect): Promise<void> {
    const { journal, cni } = this.#ports;
    const { attachment } = tracked;
    switch (effect.kind) {
      case "record_intent":
        await this.#assertNameIsFree(tracked);
        await this.#recordIntent(tracked);
        return tracked.apply({ kind: "intent_recorded" });
      case "rewrite_record":
        await journal.putAttachment(this.#record(tracked));
        return tracked.apply({ kind: "record_rewritten" });
      case "recall":
        return await this.#recall(tracked);
      case "add":
        return await this.#add(tracked);
      case "record_failure":
        try {
          await journal.putAttachment({
            ...this.#record(tracked),
            addFailed: true,
            ...(effect.foreign && { foreign: true }),
          });
          return tracked.apply({ kind: "failure_recorded" });
        } catch {
          return tracked.apply({ kind: "failure_not_recorded" });
        }
      case "del":
        return await this.#del(tracked, effect);
      case "remove_record":
        await journal.removeAttachment(this.#record(tracked));
        return tracked.apply({ kind: "record_removed" });
      case "record_result": {
        const { attached, lost } = effect;
        await journal.putAttachment({ ...this.#record(tracked), attached, ...(lost && { lost }) });
        return tracked.apply({ kind: "result_recorded", attached, lost });
      }
      case "drop_result":
        // Of a lost network something may still work; it is not taken away for an ADD that cannot be.
        await cni.verify(attachment.network, this.#source.closing);
        // An agent that dies from here on leaves what is half there: the next one begins with DEL.
        await journal.putAttachment({ ...this.#record(tracked), addFailed: true });
        return tracked.apply({ kind: "result_dropped" });
    }
  }

  /** An interface that is in the pod already is not ours, and is left alone (design decision 14). */
  async #assertNameIsFree(tracked: TrackedAttachment): Promise<void> {
    const rival = this.#rivalOf(tracked);
    if (rival) {
      throw new Error(
        `it has the same interface name as ${describeAttachment(rival)} in the same pod: ` +
          "give one of them a different name",
      );
    }
    this.#ports.assertInterfaceFree(tracked.view);
    try {
      await this.#assertUntaken(tracked.attachment, this.#seen ??= this.#look());
    } catch (error) {
      // A record without a result would make a restart take the interface for ours.
      if (tracked.state.situation.kind === "undone") {
        await this.carryOut(tracked, { kind: "remove_record" });
      }
      throw error;
    }
  }

  #look(signal = this.#source.closing): Promise<Interfaces | undefined> {
    return this.#cni.interfaces(signal);
  }

  async #assertUntaken(
    { ifName }: Attachment,
    looking: Promise<Interfaces | undefined>,
  ): Promise<void> {
    const seen = await looking;
    if (!seen?.has(ifName)) return;
    throw new Error(
      `the pod already has an interface ${ifName}, which this claim did not create ` +
        "(another network plugin, such as Multus, may have): use a different interface name",
    );
  }

  #isInterfaceFree(tracked: TrackedAttachment): boolean {
    try {
      this.#ports.assertInterfaceFree(tracked.view);
      return true;
    } catch {
      // Whoever tries it says why.
      return false;
    }
  }

  /**
   * Another one with the same interface, to which its ADD and DEL would do harm. Claims that are
   * prepared for other pods can have one name, and a pod come to use them both.
   */
  #rivalOf(tracked: TrackedAttachment): TrackedAttachment | undefined {
    const { ifName } = tracked.attachment;
    const named = [...this.#source.attachments()].filter(({ attachment }) =>
      attachment.ifName === ifName
    );
    const holder = named.find(isOnRecord) ?? named[0];
    return holder === tracked || isOnRecord(tracked) ? undefined : holder;
  }

  /**
   * Containers may use by now what an ADD of an earlier run left, of which no result is on disk: it
   * is kept where that can be told.
   */
  async #recall(tracked: TrackedAttachment): Promise<void> {
    const { closing: signal } = this.#source;
    const attached = await this.#ports.recall(tracked.intent ?? this.#record(tracked), {
      runtime: this.#cni.addRuntime(tracked),
      interfaces: () => this.#cni.interfaces(signal),
      signal,
    });
    tracked.apply({ kind: "recalled", attached });
    if (!attached) return;
    tracked.lateAttachReported = true;
    this.#reports.recalled(tracked.view);
  }

  async #add(tracked: TrackedAttachment): Promise<void> {
    const { clock, metrics, journal } = this.#ports;
    const repair = tracked.isRepair;
    const { attachment } = tracked;
    if (this.#source.started && !tracked.lateAttachReported) this.#reports.late(tracked.view);
    tracked.lateAttachReported = true;
    const began = clock.elapsed();
    try {
      const result = await this.#cni.add(tracked, {
        turn: () => this.#source.turn(),
        signal: this.#source.closing,
        begins: async () => {
          // Others had the time until now to take the name; some plugins take over what is there.
          await this.#assertUntaken(attachment, this.#look());
          journal.noteAddStarted(tracked.intent!);
          tracked.apply({ kind: "add_began" });
        },
      });
      const attached = { ...result, at: this.#ports.clock.now().toISOString() };
      tracked.apply({ kind: "add_succeeded", attached });
    } catch (error) {
      if (tracked.state.situation.kind !== "adding") {
        await this.#withdraw(tracked);
        throw error;
      }
      const isTaken = saysNameExists(errorMessage(error), attachment.ifName);
      const foreign = isTaken || await this.#isAbsent(tracked);
      tracked.apply({ kind: "add_failed", foreign });
      await this.#cleanUp(tracked).catch((cause) => {
        this.#reports.notCleanedUp(tracked.view, cause);
      });
      throw error;
    }
    if (repair) metrics.repaired("ok");
    const ms = clock.elapsed() - began;
    this.#reports.done(repair ? "repaired" : "attached", tracked.view, ms);
  }

  /** Of an ADD that has not begun nothing is left, not on record either. The next agent may go on with it. */
  async #withdraw(tracked: TrackedAttachment): Promise<void> {
    if (this.#source.closing.aborted) return;
    // Where the disk does not take that, the next try goes on from the record.
    await this.carryOut(tracked, { kind: "remove_record" }).catch(() => {});
  }

  /** Whether no interface has its name: what has it from now on is another plugin's. */
  async #isAbsent({ attachment: { ifName } }: TrackedAttachment): Promise<boolean> {
    try {
      // Also when the agent stops: the next one cannot tell any more. The look has a limit of its own.
      const seen = await this.#look(new AbortController().signal);
      return seen !== undefined && !seen.has(ifName);
    } catch {
      return false;
    }
  }

  /** What a failed ADD left goes before it is tried again, and before anyone is told. */
  async #cleanUp(tracked: TrackedAttachment): Promise<void> {
    while (tracked.state.situation.kind === "failed") {
      await this.carryOut(tracked, nextEffect(tracked.state, this.#source)!);
    }
    if (tracked.state.situation.kind === "undone") {
      await this.carryOut(tracked, { kind: "remove_record" });
    }
  }

  async #del(
    tracked: TrackedAttachment,
    { namespace, attached }: Effect & { readonly kind: "del" },
  ): Promise<void> {
    this.#seen = undefined;
    try {
      await this.#cni.del(tracked, {
        namespace,
        attached,
        turn: () => this.#source.turn(),
        signal: this.#source.closing,
      });
      tracked.apply({ kind: "del_succeeded" });
      if (tracked.state.desired.kind === "given_up") {
        this.#ports.metrics.forgotten(tracked.state.desired.why);
      }
    } catch (error) {
      if (this.#source.closing.aborted && error === this.#source.closing.reason) throw error;
      const { situation } = tracked.state;
      const isForeign = situation.kind === "failed" && situation.foreign;
      const foreign = !isForeign && await this.#isAbsent(tracked);
      const { desired } = tracked.state;
      tracked.apply({ kind: "del_failed", foreign });
      await this.#recordForeign(tracked);
      if (desired.kind !== "given_up") throw error;
      this.#ports.metrics.forgotten(desired.why);
      const left = this.#reports.givenUp(tracked.view, errorMessage(error));
      tracked.tellLeft?.(left);
    }
  }

  /** Before the pause until the next DEL, in which the agent may end. */
  async #recordForeign(tracked: TrackedAttachment): Promise<void> {
    const next = nextEffect(tracked.state, this.#source);
    if (next?.kind === "record_failure" && next.foreign) await this.carryOut(tracked, next);
  }

  /**
   * Each ADD is on record anew, before it begins: what is on record of one before it, which failed or
   * was undone, says nothing of what this one leaves.
   */
  async #recordIntent(tracked: TrackedAttachment): Promise<void> {
    const intent: AttachmentRecord = {
      ...this.#record(tracked),
      add: "pending",
      ...(tracked.isRepair && { repair: true }),
    };
    await this.#ports.journal.putAttachment(intent);
    tracked.intent = intent;
  }

  /** A record without a result: ADD may have begun. */
  #record({ claim, attachment }: TrackedAttachment): AttachmentRecord {
    return { claim, sandbox: this.#source.sandbox, attachment };
  }
}

function isOnRecord({ state }: TrackedAttachment): boolean {
  return isRecorded(state.situation);
}
