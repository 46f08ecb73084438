import { isDeepStrictEqual } from "node:util";
import type { ClaimRef } from "../../claim/attachment.ts";
import { claimStatus, type WrittenDevice } from "../../claim/claim_status.ts";
import { FieldError } from "../../claim/field.ts";
import type { Backoff } from "../../async/backoff.ts";
import { Limiter } from "../../async/limiter.ts";
import { retry } from "../../async/retry.ts";
import { WarnOnce } from "../../async/warn_once.ts";
import type { Clock } from "../../async/clock.ts";
import type { Cluster, Events, Log, Metrics, Refusal, Traces } from "../ports.ts";
import type { DeviceStatus, PodRef } from "../model.ts";
import { describeClaim } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";
import { reducedStatuses } from "./reduced_status.ts";
import {
  keepTransitionTimes,
  readyInClaim,
  type WrittenReady,
  writtenReady,
} from "./transition_times.ts";

/** Changes within this time go out in one write: the networks of a pod, a stop and its unprepare. */
const COALESCE_MS = 500;
/** A write waits for what is still being done for its claim no longer than this. */
const LONGEST_COALESCE_MS = 2_000;
const RETRY: Backoff = { first: 500, most: 30_000 };
/** Writes in progress at once, for a node that starts with hundreds of claims. */
const WIDTH = 8;
/** A claim that was unprepared is mostly gone at once; its last write is not tried forever. */
const FINAL_WRITE_ATTEMPTS = 5;
/**
 * A request that had no answer, or whose agent has died, may still be carried out for so long:
 * `--request-timeout` of the API server.
 */
const LATE_WRITE_MS = 60_000;

/** Where statuses are written and reported. */
export interface StatusWriterPorts {
  readonly cluster: Pick<Cluster, "getClaim" | "applyDeviceStatus">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "statusWritten">;
  readonly traces: Pick<Traces, "ended">;
  readonly events: Events;
}

/** What is known of claims, by UID. */
export interface StatusSource {
  /** A claim's entries as they shall be now; undefined when nothing shall be written yet. */
  readonly build: (claimUid: string) => DeviceStatus[] | undefined;
  /** Whether that is about to change: a network is being made or taken away, for the first time. */
  readonly changing: (claimUid: string) => boolean;
  /** The pods that have its networks. */
  readonly pods: (claimUid: string) => readonly PodRef[];
}

/**
 * Keeps `status.devices` of the claims true, off the critical path: a claim that changed is written
 * with all its entries in one request, again and again until the API server has taken it.
 * What the API server refuses is written with less in it, down to the conditions, and not tried
 * again before the claim changes.
 */
export class StatusWriter {
  readonly #ports: StatusWriterPorts;
  readonly #source: StatusSource;
  readonly #limiter = new Limiter(WIDTH);
  readonly #stop = new AbortController();
  readonly #writers = new Map<string, Writer>();

  constructor(ports: StatusWriterPorts, source: StatusSource) {
    this.#ports = ports;
    this.#source = source;
  }

  /** Something about the claim's attachments changed. Returns at once. */
  changed(claim: ClaimRef): void {
    // A claim that is new here has no entry of ours, and needs no write to have none.
    this.#touch(claim, { settled: "[]", written: new Map() });
  }

  /**
   * The claim is known from an earlier run: what was written then is unknown. The last write of that
   * run may come after the first one of this run, so that the claim is looked at again later. Returns
   * at once.
   */
  restored(claim: ClaimRef): void {
    const writer = this.#touch(claim, { settled: undefined, written: undefined });
    writer.lookedAtAgain ??= this.#lookAgain(writer);
  }

  /** The claim was unprepared: its entries go with one last write. Returns at once. */
  finish(claimUid: string): void {
    const writer = this.#writers.get(claimUid);
    if (!writer) return;
    writer.finished = true;
    writer.dirty = true;
    this.#run(writer);
  }

  /** Ends all writing. What was not written is rebuilt from the journal at the next start. */
  async close(): Promise<void> {
    this.#stop.abort(new Error("the agent stops"));
    await Promise.all([...this.#writers.values()].map((writer) => writer.loop));
  }

  /** Writes the claim once more where it does not say any longer what was written. */
  async #lookAgain(writer: Writer): Promise<void> {
    try {
      await this.#ports.clock.sleep(LATE_WRITE_MS, writer.signal);
    } catch {
      return; // The agent stops.
    }
    // What is being written now would be noted as what the API server has.
    while (writer.loop) await writer.loop;
    if (writer.signal.aborted || this.#writers.get(writer.claim.uid) !== writer) return;
    Object.assign(writer, { settled: undefined, written: undefined, dirty: true });
    writer.lookedAtAgain = undefined;
    this.#run(writer);
  }

  #touch(claim: ClaimRef, known: Pick<Writer, "settled" | "written">): Writer {
    let writer = this.#writers.get(claim.uid);
    if (!writer) {
      const signal = AbortSignal.any([this.#stop.signal]);
      writer = { claim, signal, dirty: false, finished: false, ...known };
      this.#writers.set(claim.uid, writer);
    }
    // It may have been prepared again before its last write was done.
    writer.finished = false;
    writer.dirty = true;
    this.#run(writer);
    return writer;
  }

  #run(writer: Writer): void {
    writer.loop ??= this.#loop(writer).finally(() => {
      writer.loop = undefined;
      if (writer.finished) this.#writers.delete(writer.claim.uid);
      else if (writer.dirty && !writer.signal.aborted) this.#run(writer);
    });
  }

  async #loop(writer: Writer): Promise<void> {
    try {
      while (writer.dirty) {
        await this.#coalesced(writer);
        await this.#writeUntilTaken(writer);
      }
    } catch (error) {
      if (!writer.signal.aborted) throw error;
    }
  }

  /** Resolves when changes seem to be over. */
  async #coalesced({ claim, signal }: Writer): Promise<void> {
    for (let waited = 0; waited < LONGEST_COALESCE_MS; waited += COALESCE_MS) {
      await this.#ports.clock.sleep(COALESCE_MS, signal);
      if (!this.#source.changing(claim.uid)) return;
    }
  }

  async #writeUntilTaken(writer: Writer): Promise<void> {
    const { clock, log, metrics } = this.#ports;
    const { signal } = writer;
    const problem = new WarnOnce(log);
    let failures = 0;
    await retry(async () => {
      writer.dirty = false;
      const attempt = failures ? "retry" : "first";
      try {
        await this.#limiter.run(() => this.#write(writer, attempt), { signal });
        if (failures) log.info(`wrote the status of ${describeClaim(writer.claim)}`);
      } catch (error) {
        if (signal.aborted) throw error;
        metrics.statusWritten("failed", attempt);
        const isLast = writer.finished && failures + 1 >= FINAL_WRITE_ATTEMPTS;
        if (!isLast) throw error;
        log.warn(`gave up writing the last status of ${describeClaim(writer.claim)}`, {
          error: errorMessage(error),
        });
      }
    }, {
      clock,
      backoff: RETRY,
      signal,
      failed: (error, tries) => {
        failures = tries;
        problem.say(`cannot write the status of ${describeClaim(writer.claim)} yet`, {
          error: errorMessage(error),
          tries,
        });
      },
    });
  }

  /** @param began when it was sent, by the clock that is never set back */
  #trace(claim: ClaimRef, began: number, error?: string): void {
    const { clock, traces } = this.#ports;
    const seconds = (clock.elapsed() - began) / 1000;
    const about = { claim: `${claim.namespace}/${claim.name}` };
    for (const pod of this.#source.pods(claim.uid)) {
      traces.ended({ name: "status", pod, seconds, about, error });
    }
  }

  async #write(writer: Writer, attempt: "first" | "retry"): Promise<void> {
    const { cluster, clock, metrics } = this.#ports;
    const { claim } = writer;
    const built = this.#source.build(claim.uid);
    if (!built) return;
    const content = JSON.stringify(built);
    if (content === writer.settled) return;
    const now = clock.now().toISOString();
    const found = writer.written ? [] : await this.#readWritten(writer, built);
    const before = writer.written ?? readyInClaim(found);
    const entries = keepTransitionTimes(built, { before, now });
    if (found.length > 0 && isDeepStrictEqual(found.map(({ entry }) => entry), entries)) {
      writer.settled = content;
      writer.written = writtenReady(entries);
      return;
    }
    let refused: unknown;
    for (const { without, devices } of reducedStatuses(entries)) {
      const began = clock.elapsed();
      try {
        const outcome = await cluster.applyDeviceStatus(claim, devices, writer.signal);
        this.#trace(claim, began);
        metrics.statusWritten(outcome, attempt);
        writer.settled = outcome === "applied" ? content : undefined;
        writer.written = outcome === "applied" ? writtenReady(devices) : new Map();
        return this.#report(writer, refused, `it is written without ${without}`);
      } catch (error) {
        this.#trace(claim, began, errorMessage(error));
        if (!isRefusal(error)) {
          // The API server may have taken it all the same, or take it yet.
          writer.settled = undefined;
          writer.lookedAtAgain ??= this.#lookAgain(writer);
          throw error;
        }
        metrics.statusWritten("refused", attempt);
        refused ??= error;
      }
    }
    // The same would be refused again.
    writer.settled = content;
    this.#report(writer, refused, "it is written when the claim changes");
  }

  /** The driver's entries that an earlier run wrote; none where that makes no difference. */
  async #readWritten(
    { claim: { namespace, name }, signal }: Writer,
    [first]: readonly DeviceStatus[],
  ): Promise<readonly WrittenDevice[]> {
    if (!first) return [];
    const found = await this.#ports.cluster.getClaim({ namespace, name }, signal);
    try {
      return found
        ? claimStatus(found).written.filter(({ driver }) => driver === first.driver)
        : [];
    } catch (error) {
      // What the API server cannot have given tells nothing.
      if (error instanceof FieldError) return [];
      throw error;
    }
  }

  /** Says once what the API server refused, until it takes a status as it is. */
  #report(writer: Writer, refused: unknown, left: string): void {
    if (refused === undefined) {
      writer.reported = undefined;
    } else if (writer.reported !== left) {
      writer.reported = left;
      const { claim } = writer;
      const message = `the API server refuses the status of ${describeClaim(claim)}, ${left}: ` +
        errorMessage(refused);
      this.#ports.log.warn(message);
      const about = { kind: "ResourceClaim", ...claim } as const;
      this.#ports.events.warn({ reason: "NetworkStatusRefused", message, about });
    }
  }
}

interface Writer {
  readonly claim: ClaimRef;
  /** The agent stops. One of its own: each listener of a signal makes the next one dearer. */
  readonly signal: AbortSignal;
  /** Whether something changed since the last write began. */
  dirty: boolean;
  finished: boolean;
  /** The entries, as JSON, that the API server took last or refused for good; undefined when unknown. */
  settled: string | undefined;
  /** The conditions that it has of them; undefined when unknown. */
  written: WrittenReady | undefined;
  /** What was said last of a status that it refuses. */
  reported?: string;
  loop?: Promise<void>;
  /** Of a claim of an earlier run, and after a write that had no answer. */
  lookedAtAgain?: Promise<void>;
}

function isRefusal(error: unknown): boolean {
  return (error as Partial<Refusal>).refused === true;
}
