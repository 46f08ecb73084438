import type { Attachment, ClaimRef } from "../../claim/attachment.ts";
import { type Backoff, pauseAfter } from "../../async/backoff.ts";
import { Notifier } from "../../async/notifier.ts";
import { attachmentKey, type Entry, isReady, isToDo, unwant } from "./attachment_state.ts";
import { FIRST, type Limiter } from "../../async/limiter.ts";
import type { NetworkLocks } from "./network_locks.ts";
import type {
  Attached,
  AttachmentRecord,
  Finding,
  ForgetCause,
  Lost,
  RuntimeConfig,
  Sandbox,
} from "../model.ts";
import type { Clock } from "../../async/clock.ts";
import type { Cni, Events, HeldNamespace, Journal, Log, Metrics, Namespaces } from "../ports.ts";
import { AttachmentReports } from "./reports.ts";
import { describeAttachment, describePod } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";

/** Retries come early enough for the kubelet's first one (0.4 s), and often enough for those after (11 s). */
const RETRY: Backoff = { first: 200, most: 8_000 };

/**
 * How many CreateContainer calls may use up their whole time waiting for one sandbox. The runtime
 * handles the events of all pods one at a time, so a network that hangs must not hold it again and
 * again; a slow one (DHCP, IPv6 duplicate address detection) is there by then.
 */
const PATIENCE = 3;

/**
 * How long a DEL is tried that cannot be expected to succeed: its plugin is not on the node any more
 * (an upgrade of the plugins takes far less), or what its ADD has failed at (most often the
 * configuration) keeps the DEL from succeeding too. The pod has ended by then, or nothing would be
 * detached.
 */
const HOPELESS_LIMIT = 30 * 60_000;

export interface PodAttachmentsPorts {
  readonly cni: Cni;
  readonly journal: Journal;
  readonly namespaces: Namespaces;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
  readonly metrics: Pick<Metrics, "repaired" | "forgotten">;
  /** Bounds the CNI operations of the whole node. */
  readonly limiter: Limiter;
  /** Keeps ADD and DEL of a network from its GC. */
  readonly networks: NetworkLocks;
  /** Finds out what became of an ADD of an earlier run; undefined when it came to nothing. */
  readonly recall: (record: AttachmentRecord, runtime: RuntimeConfig) => Promise<
    Attached | undefined
  >;
}

/**
 * The networks of one sandbox: one worker, which brings what is there to what is wanted, one CNI
 * operation at a time (CNI SPEC: operations of one container are serial), and tries again with
 * backoff what failed.
 */
export class PodAttachments {
  readonly sandbox: Sandbox;
  readonly #ports: PodAttachmentsPorts;
  readonly #reports: AttachmentReports;
  readonly #onChange: (claim: ClaimRef) => void;
  readonly #entries = new Map<string, Entry>();
  readonly #changes = new Notifier();
  #held: HeldNamespace | undefined;
  #stopped = false;
  /** Whether containers were created before the agent could keep them waiting. */
  #started = false;
  #closed = false;
  #worker: Promise<void> | undefined;
  /** Ends the pause between two passes; undefined while no pause is on. */
  #endPause: (() => void) | undefined;
  /** Whether something was asked for since the last pass began: then no pause follows it. */
  #woken = false;
  #passing = false;
  /** The CHECK under way; whatever else is to be done ends it. */
  #checking: { readonly interrupt: AbortController; readonly done: Promise<unknown> } | undefined;
  #passes = 0;
  #timedOutGates = 0;
  /** Containers that wait: meanwhile the runtime handles no event of any pod. */
  #waitingGates = 0;
  /** Drawn for each pass, so that the networks of a sandbox come in a row. */
  #number = FIRST;

  constructor(sandbox: Sandbox, ports: PodAttachmentsPorts, onChange: (claim: ClaimRef) => void) {
    this.sandbox = sandbox;
    this.#ports = ports;
    this.#reports = new AttachmentReports(sandbox, ports);
    this.#onChange = onChange;
  }

  get entries(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  /** True once the sandbox has stopped: from then on attachments only go. */
  get stopped(): boolean {
    return this.#stopped;
  }

  get idle(): boolean {
    return this.#entries.size === 0 && !this.#worker;
  }

  /** Takes over what the journal holds from an earlier run. Nothing is done until want(), stop() or release(). */
  restore({ claim, attachment, attached, lost }: AttachmentRecord): void {
    this.#entries.set(attachmentKey(claim, attachment), {
      claim,
      attachment,
      wanted: true,
      recorded: true,
      intended: false,
      saved: true,
      resultSaved: attached !== undefined,
      attached,
      lost,
      repair: false,
      uncertain: attached === undefined,
      addFailed: false,
      lateAttachReported: attached !== undefined,
    });
  }

  /** The runtime says that the sandbox has containers already, wherever the agent was meanwhile. */
  containersStarted(): void {
    this.#started = true;
  }

  /**
   * Attaches, in the order given, those that are not attached yet. Returns at once.
   *
   * @param uncertain whether there may be some already of which nothing is known
   */
  want(
    claim: ClaimRef,
    attachments: readonly Attachment[],
    { uncertain = false }: { readonly uncertain?: boolean } = {},
  ): void {
    if (this.#stopped) return;
    for (const attachment of attachments) {
      const key = attachmentKey(claim, attachment);
      if (!this.#entries.has(key)) {
        this.#entries.set(key, {
          claim,
          attachment,
          wanted: true,
          recorded: false,
          intended: false,
          saved: false,
          resultSaved: false,
          repair: false,
          uncertain,
          addFailed: false,
          lateAttachReported: false,
        });
      }
    }
    this.#wake();
  }

  /** The sandbox has stopped: detaches all. Returns at once, holding the network namespace. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#hold();
    for (const entry of this.#entries.values()) unwant(entry);
    this.#wake();
  }

  /** Detaches what belongs to one claim. Returns at once. */
  release(claimUid: string): void {
    for (const entry of this.of(claimUid)) unwant(entry);
    this.#wake();
  }

  /**
   * Lets what is left of a claim go: after one more DEL without the namespace, whatever that says.
   * Returns at once.
   *
   * @param tell is told what may be left on the node
   */
  giveUp(claimUid: string, why: ForgetCause, tell?: (left: string) => void): void {
    for (const entry of this.of(claimUid)) {
      unwant(entry);
      entry.givenUp = { why, tell };
    }
    this.#wake();
  }

  /** Everything of one claim. */
  of(claimUid: string): Entry[] {
    return this.entries.filter((entry) => entry.claim.uid === claimUid);
  }

  /** Resolves when nothing of the claim is left here. */
  async released(claimUid: string, signal: AbortSignal): Promise<void> {
    while (this.of(claimUid).length > 0) await this.#changes.next(signal);
  }

  /**
   * The gate of CreateContainer: resolves when every wanted attachment is there. Rejects with the
   * cause when a try has failed, and when the signal is aborted first.
   */
  async ready(signal: AbortSignal): Promise<void> {
    this.#waitingGates++;
    try {
      await this.#awaitReady(signal);
    } finally {
      this.#waitingGates--;
    }
  }

  async #awaitReady(signal: AbortSignal): Promise<void> {
    const pass = this.#passes;
    // A failed try is repeated now rather than at the end of its pause: someone is waiting.
    this.#endPause?.();
    while (!this.#stopped) {
      const missing = this.entries.filter((entry) => entry.wanted && !isReady(entry));
      const first = missing[0];
      if (!first) return;
      const failed = missing.find((entry) => entry.failure);
      if (failed && this.#passes > pass) throw this.#notReady(failed);
      if (this.#timedOutGates >= PATIENCE) throw this.#notReady(failed ?? first);
      try {
        await this.#changes.next(signal);
      } catch {
        this.#timedOutGates++;
        throw this.#notReady(failed ?? first);
      }
    }
    throw new Error(`sandbox ${this.sandbox.id} of ${describePod(this.sandbox.pod)} has stopped`);
  }

  /**
   * CNI CHECK of an attachment. It keeps nothing waiting: undefined is the answer when something
   * else is to be done here, also when that comes up meanwhile or the signal is aborted.
   */
  async check(entry: Entry, until: AbortSignal): Promise<Finding | undefined> {
    const pausing = this.#endPause !== undefined;
    const busy = this.#passing || this.#checking || (this.#worker && !pausing);
    const { attached } = entry;
    if (busy || this.#stopped || this.#closed || !entry.wanted || !attached) return undefined;
    const { limiter, cni } = this.#ports;
    const interrupt = new AbortController();
    const signal = AbortSignal.any([interrupt.signal, until]);
    const done = limiter.runAside(() => {
      const netns = this.#livingNetns();
      if (netns === "") {
        return Promise.resolve<Finding>({
          state: "unknown",
          cause: `the network namespace ${this.sandbox.netns} is gone`,
        });
      }
      const { network } = entry.attachment;
      return cni.check(network, this.#runtime(entry, netns), attached.result, signal);
    }, signal).catch(() => undefined);
    this.#checking = { interrupt, done };
    const finding = await done;
    this.#checking = undefined;
    return signal.aborted || entry.attached !== attached ? undefined : finding;
  }

  /** CHECK found that it is not as ADD left it. Returns at once. */
  markLost(
    entry: Entry,
    { reason, message, repair }: Pick<Lost, "reason" | "message"> & { readonly repair: boolean },
  ): void {
    // Only a new reason is news: the words may be others each time.
    const known = entry.lost?.reason === reason;
    if (!known) {
      const since = entry.lost?.since ?? this.#ports.clock.now().toISOString();
      entry.lost = { reason, message, since };
      entry.saved = false;
      this.#onChange(entry.claim);
    }
    entry.repair = repair;
    if (!known || repair) this.#wake();
  }

  /** CHECK found a lost one as ADD left it. Returns at once. */
  markRecovered(entry: Entry): void {
    if (!entry.lost || !entry.attached) return;
    entry.lost = undefined;
    entry.repair = false;
    // It is ready since now, and not since it was attached.
    entry.attached = { ...entry.attached, at: this.#ports.clock.now().toISOString() };
    entry.saved = false;
    this.#onChange(entry.claim);
    this.#wake();
  }

  /** Lets the running operation finish and does nothing further; the journal knows the rest. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#endPause?.();
    await this.#endChecking();
    await this.#worker;
    this.#held?.release();
    this.#held = undefined;
  }

  /** Where that cannot be, there is its path for as long as it leads there. */
  #hold(): void {
    const { sandbox: { netns, pod } } = this;
    if (!netns) return;
    try {
      this.#held = this.#ports.namespaces.hold(netns);
    } catch (error) {
      const about = { netns, error: errorMessage(error) };
      this.#ports.log.warn(`cannot hold the network namespace of ${describePod(pod)}`, about);
    }
  }

  async #endChecking(): Promise<void> {
    this.#checking?.interrupt.abort(new Error("there is something else to do"));
    await this.#checking?.done;
  }

  #wake(): void {
    this.#woken = true;
    this.#endPause?.();
    this.#worker ??= this.#work().finally(() => {
      this.#worker = undefined;
      this.#changes.notify();
      // Someone may have asked for more after the worker's last look.
      if (this.#unfinished() && !this.#closed) this.#wake();
    });
  }

  async #work(): Promise<void> {
    let failures = 0;
    // The first step of every pass is asynchronous, so a hook that wakes the worker returns first.
    await Promise.resolve();
    while (!this.#closed && this.#unfinished()) {
      this.#woken = false;
      this.#passing = true;
      this.#number = this.#ports.limiter.drawNumber();
      await this.#endChecking();
      const failed = await this.#pass();
      this.#passing = false;
      this.#passes++;
      failures = failed ? failures + 1 : 0;
      this.#changes.notify();
      if (failed && !this.#closed && !this.#woken) await this.#pause(pauseAfter(failures, RETRY));
    }
    if (this.#entries.size === 0) {
      this.#held?.release();
      this.#held = undefined;
    }
  }

  #unfinished(): boolean {
    return this.entries.some((entry) => !entry.wanted || isToDo(entry));
  }

  /** One try at everything that is to be done; true when something failed. */
  async #pass(): Promise<boolean> {
    let failed = false;
    for (const entry of this.entries.toReversed()) {
      if (!entry.wanted && !this.#closed) {
        failed = !await this.#try("detach", entry, () => this.#detach(entry)) || failed;
      }
    }
    return !await this.#attachAll() || failed;
  }

  /** The operations come one after the other; what goes to disk keeps none of them waiting. */
  async #attachAll(): Promise<boolean> {
    const toDo = this.entries.filter((entry) => entry.wanted && isToDo(entry));
    await this.#intend(toDo);
    const saves: Promise<boolean>[] = [];
    let succeeded = true;
    for (const entry of toDo) {
      // Read again for each: the sandbox may have stopped during the operation before.
      if (!entry.wanted || this.#closed) continue;
      const isThere = entry.attached && !entry.repair;
      if (isThere || await this.#try("attach", entry, () => this.#make(entry))) {
        saves.push(this.#try("attach", entry, () => this.#save(entry)));
      } else succeeded = false;
    }
    return !(await Promise.all(saves)).includes(false) && succeeded;
  }

  /** Puts on record that ADDs may begin; where that fails, it is tried again when its turn comes. */
  async #intend(toDo: readonly Entry[]): Promise<void> {
    if (this.#closed || !this.#canAdd()) return;
    const fresh = toDo.filter((entry) =>
      !entry.recorded && !entry.uncertain && !this.#rivalOf(entry)
    );
    await Promise.allSettled(fresh.map(async (entry) => {
      await this.#ports.journal.putAttachment(this.#record(entry));
      entry.recorded = true;
      entry.intended = true;
    }));
  }

  async #try(
    step: "attach" | "detach",
    entry: Entry,
    work: () => Promise<void>,
  ): Promise<boolean> {
    const before = entry.failure;
    try {
      await work();
      entry.failure = undefined;
      return true;
    } catch (error) {
      entry.failure = {
        error: error instanceof Error ? error : new Error(errorMessage(error)),
        since: before?.since ?? this.#ports.clock.now().toISOString(),
      };
      this.#reports.failed(step, entry, before?.error);
      if (entry.repair) this.#ports.metrics.repaired("error");
      const hopeless = step === "detach" && !entry.givenUp ? this.#hopeless(entry) : undefined;
      if (hopeless) {
        entry.givenUp = { why: hopeless };
        this.#woken = true;
      }
      return false;
    } finally {
      this.#onChange(entry.claim);
      this.#changes.notify();
    }
  }

  async #make(entry: Entry): Promise<void> {
    const rival = this.#rivalOf(entry);
    if (rival) {
      throw new Error(
        `its interface's name is that of ${describeAttachment(rival)} in the same pod: ` +
          "give one of them another",
      );
    }
    if (entry.uncertain) await this.#recall(entry);
    if (!entry.attached || entry.repair) await this.#add(entry);
  }

  /**
   * Another one with the same interface, to which its ADD and DEL would do harm. Claims that are
   * prepared for other pods can have one name, and a pod come to use them both.
   */
  #rivalOf(entry: Entry): Entry | undefined {
    const { ifName } = entry.attachment;
    const named = this.entries.filter(({ attachment }) => attachment.ifName === ifName);
    const holder = named.find(({ recorded }) => recorded) ?? named[0];
    return holder === entry || entry.recorded ? undefined : holder;
  }

  async #save(entry: Entry): Promise<void> {
    entry.saved = false;
    await this.#ports.journal.putAttachment(this.#record(entry));
    entry.saved = true;
    entry.resultSaved = true;
  }

  /**
   * Containers may use by now what an ADD of an earlier run left, of which no result is on disk: it
   * is kept where that can be told. Without containers it is made anew, which costs nobody anything.
   */
  async #recall(entry: Entry): Promise<void> {
    if (!entry.recorded) {
      // Its record could not be read.
      await this.#ports.journal.putAttachment(this.#record(entry));
      entry.recorded = true;
    }
    if (this.#started) {
      const runtime = this.#runtime(entry, this.#podNetns());
      entry.attached = await this.#ports.recall(this.#record(entry), runtime);
    }
    entry.uncertain = false;
    if (!entry.attached) return;
    entry.lateAttachReported = true;
    this.#reports.recalled(entry);
  }

  async #add(entry: Entry): Promise<void> {
    const { journal, cni, clock, metrics } = this.#ports;
    const { network } = entry.attachment;
    const runtime = this.#runtime(entry, this.#podNetns());
    // Of a lost network something may still work; it is not taken away for an ADD that cannot be.
    if (entry.attached) await cni.verify(network, NEVER);
    const old = entry.recorded && !entry.intended;
    if (!entry.recorded || entry.attached) {
      await journal.putAttachment(this.#record({ ...entry, attached: undefined, lost: undefined }));
      entry.recorded = true;
      entry.saved = false;
      entry.resultSaved = false;
    }
    // What an ADD that failed or was cut off left behind goes first. Its record stays: it is true,
    // and a disk that is full takes no other.
    if (old) await this.#delete(entry);
    entry.attached = undefined;
    entry.lost = undefined;
    if (this.#started && !entry.lateAttachReported) this.#reports.late(entry);
    entry.lateAttachReported = true;
    entry.intended = false;
    const began = clock.now().getTime();
    try {
      const result = await this.#operate(entry, () => cni.add(network, runtime, NEVER));
      entry.attached = { ...result, at: clock.now().toISOString() };
      entry.failure = undefined;
      entry.addFailed = false;
    } catch (error) {
      entry.addFailed = true;
      await this.#undo(entry).catch((cause) => this.#reports.notCleanedUp(entry, cause));
      throw error;
    }
    if (entry.repair) metrics.repaired("ok");
    const ms = clock.now().getTime() - began;
    this.#reports.done(entry.repair ? "repaired" : "attached", entry, ms);
    entry.repair = false;
  }

  async #detach(entry: Entry): Promise<void> {
    const began = this.#ports.clock.now().getTime();
    if (entry.intended) await this.#forget(entry);
    else if (entry.recorded) await (entry.givenUp ? this.#abandon(entry) : this.#undo(entry));
    this.#entries.delete(attachmentKey(entry.claim, entry.attachment));
    this.#reports.done("detached", entry, this.#ports.clock.now().getTime() - began);
  }

  /** DEL, and only then the record. */
  async #undo(entry: Entry): Promise<void> {
    await this.#delete(entry);
    await this.#forget(entry);
  }

  async #delete(entry: Entry, netns = this.#livingNetns()): Promise<void> {
    const { network } = entry.attachment;
    const runtime = this.#runtime(entry, netns);
    await this.#operate(
      entry,
      () => this.#ports.cni.del(network, runtime, entry.attached?.result, NEVER),
    );
  }

  /** The record goes although DEL fails; without the namespace, DEL still frees what it can. */
  async #abandon(entry: Entry): Promise<void> {
    let cause: string | undefined;
    await this.#delete(entry, "").catch((error) => cause = errorMessage(error));
    await this.#forget(entry);
    const { why, tell } = entry.givenUp!;
    this.#ports.metrics.forgotten(why);
    if (cause === undefined) return;
    const message = this.#reports.givenUp(entry, cause);
    tell?.(message);
  }

  async #forget(entry: Entry): Promise<void> {
    await this.#ports.journal.removeAttachment(this.#record(entry));
    entry.recorded = false;
    entry.intended = false;
    entry.saved = false;
    entry.resultSaved = false;
    entry.attached = undefined;
    entry.lost = undefined;
  }

  /** Runs a CNI operation in its turn. */
  #operate<T>({ attachment }: Entry, operation: () => Promise<T>): Promise<T> {
    const { limiter, networks } = this.#ports;
    const turn = () => this.#waitingGates > 0 ? FIRST : this.#number;
    return networks.use(attachment.network.name, () => limiter.run(operation, turn));
  }

  /** The namespace for ADD, which must be the pod's own. */
  #podNetns(): string {
    const obstacle = this.#obstacle();
    if (obstacle !== undefined) throw new Error(obstacle);
    return this.sandbox.netns!;
  }

  #canAdd(): boolean {
    try {
      return this.#obstacle() === undefined;
    } catch {
      // Whoever tries it says why.
      return false;
    }
  }

  /** Why there can be no ADD. */
  #obstacle(): string | undefined {
    const { netns, pod } = this.sandbox;
    const kind = netns ? this.#ports.namespaces.classify(netns) : "host";
    switch (kind) {
      case "pod":
        return undefined;
      case "gone":
        return `the network namespace ${netns} is gone`;
      case "host":
        return `${describePod(pod)} uses the host's network, which the plugins would change: ` +
          "use hostNetwork: false, or a pod without the claim";
    }
  }

  /** The namespace for DEL: held since the stop, or by its path while that still leads to it, or none. */
  #livingNetns(): string {
    if (this.#held) return this.#held.path;
    const path = this.sandbox.netns;
    return path && this.#ports.namespaces.classify(path) === "pod" ? path : "";
  }

  #runtime({ attachment }: Entry, netns: string): RuntimeConfig {
    const { id, pod } = this.sandbox;
    return {
      containerID: id,
      netns,
      ifName: attachment.ifName,
      // The names that Kubernetes runtimes pass (CNI CONVENTIONS); IgnoreUnknown for plugins that know none.
      args: [
        ["IgnoreUnknown", "true"],
        ["K8S_POD_NAMESPACE", pod.namespace],
        ["K8S_POD_NAME", pod.name],
        ["K8S_POD_INFRA_CONTAINER_ID", id],
        ["K8S_POD_UID", pod.uid],
      ] as const,
      capabilityArgs: attachment.capabilityArgs,
    };
  }

  #record({ claim, attachment, attached, lost }: Entry): AttachmentRecord {
    return {
      claim,
      sandbox: this.sandbox,
      attachment,
      ...(attached && { attached }),
      ...(lost && { lost }),
    };
  }

  #notReady(entry: Entry): Error {
    const error = entry.failure?.error;
    const cause = error?.message ?? "still being attached";
    return new Error(`${describeAttachment(entry)} is not ready: ${cause}`, { cause: error });
  }

  /** Why its DEL, which has failed for long, need not be tried any more; undefined where it must. */
  #hopeless({ failure, attachment, addFailed }: Entry): ForgetCause | undefined {
    const { clock, cni } = this.#ports;
    if (clock.now().getTime() - Date.parse(failure!.since) < HOPELESS_LIMIT) return undefined;
    if (cni.missingPlugins(attachment.network).length > 0) return "plugin_missing";
    return addFailed ? "never_attached" : undefined;
  }

  async #pause(ms: number): Promise<void> {
    const ended = new AbortController();
    this.#endPause = () => ended.abort();
    await this.#ports.clock.sleep(ms, ended.signal).catch(() => {});
    this.#endPause = undefined;
  }
}

/** Operations always run to their end, which the plugins' time-out bounds: a half-done one is worse than a late one. */
const NEVER = new AbortController().signal;
