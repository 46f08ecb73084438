import type { ClaimRef } from "../../claim/attachment.ts";
import { type Backoff, pauseAfter } from "../../async/backoff.ts";
import { Limiter } from "../../async/limiter.ts";
import type { Clock } from "../../async/clock.ts";
import type { Cluster, Log, Metrics } from "../ports.ts";
import type { DeviceStatus } from "../model.ts";
import { describeClaim } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";

/** Notifier that come within this time go out in one write: the networks of a pod, a stop and its unprepare. */
const COALESCE = 500;
/** For so long a write waits for what is still being done for its claim, in milliseconds. */
const PATIENCE = 2_000;
const RETRY: Backoff = { first: 500, most: 30_000 };
/** Writes under way at once, for a node that starts with hundreds of claims. */
const WIDTH = 8;
/** A claim that was unprepared is mostly gone at once; its last write is not tried for ever. */
const FINAL_WRITE_ATTEMPTS = 5;

export interface StatusWriterPorts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What is known of claims, by UID. */
export interface StatusSource {
  /** A claim's entries as they shall be now; undefined when nothing shall be written yet. */
  readonly build: (claimUid: string) => DeviceStatus[] | undefined;
  /** Whether that is about to change: a network is being made or taken away, for the first time. */
  readonly changing: (claimUid: string) => boolean;
}

/**
 * Keeps `status.devices` of the claims true, off the critical path: a claim that changed is written
 * with all its entries in one server-side apply, again and again until the API server took it.
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
    this.#touch(claim, "[]");
  }

  /** The claim is known from an earlier run: what was written then is unknown. Returns at once. */
  restored(claim: ClaimRef): void {
    this.#touch(claim, undefined);
  }

  /** The claim was unprepared: its entries go with one last write. Returns at once. */
  forget(claimUid: string): void {
    const writer = this.#writers.get(claimUid);
    if (!writer) return;
    writer.forgotten = true;
    writer.dirty = true;
    this.#run(writer);
  }

  /** Ends all writing. What was not written is rebuilt from the journal at the next start. */
  async close(): Promise<void> {
    this.#stop.abort(new Error("the agent stops"));
    await Promise.all([...this.#writers.values()].map((writer) => writer.loop));
  }

  #touch(claim: ClaimRef, applied: string | undefined): void {
    let writer = this.#writers.get(claim.uid);
    if (!writer) {
      writer = { claim, dirty: false, forgotten: false, applied, loop: undefined };
      this.#writers.set(claim.uid, writer);
    }
    // It may have been prepared anew before its last write was done.
    writer.forgotten = false;
    writer.dirty = true;
    this.#run(writer);
  }

  #run(writer: Writer): void {
    writer.loop ??= this.#loop(writer).finally(() => {
      writer.loop = undefined;
      if (writer.forgotten) this.#writers.delete(writer.claim.uid);
      else if (writer.dirty && !this.#stop.signal.aborted) this.#run(writer);
    });
  }

  async #loop(writer: Writer): Promise<void> {
    const { clock, log, metrics } = this.#ports;
    const { signal } = this.#stop;
    let failures = 0;
    try {
      while (writer.dirty) {
        if (failures) await clock.sleep(pauseAfter(failures, RETRY), signal);
        else await this.#settled(writer);
        writer.dirty = false;
        const attempt = failures ? "retry" : "first";
        try {
          const outcome = await this.#limiter.run(() => this.#write(writer));
          if (outcome !== "unchanged") metrics.statusWritten(outcome, attempt);
          if (failures) log.info(`wrote the status of ${describeClaim(writer.claim)} at last`);
          failures = 0;
        } catch (error) {
          if (signal.aborted) return;
          metrics.statusWritten("failed", attempt);
          failures++;
          log[failures === 1 ? "warn" : "debug"](
            `cannot write the status of ${describeClaim(writer.claim)} yet`,
            { error: errorMessage(error), tries: failures },
          );
          writer.dirty = !(writer.forgotten && failures >= FINAL_WRITE_ATTEMPTS);
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Resolves when changes seem to be over. */
  async #settled({ claim }: Writer): Promise<void> {
    for (let waited = 0; waited < PATIENCE; waited += COALESCE) {
      await this.#ports.clock.sleep(COALESCE, this.#stop.signal);
      if (!this.#source.changing(claim.uid)) return;
    }
  }

  async #write(writer: Writer): Promise<"applied" | "gone" | "unchanged"> {
    const devices = this.#source.build(writer.claim.uid);
    if (!devices) return "unchanged";
    const content = JSON.stringify(devices);
    if (content === writer.applied) return "unchanged";
    const outcome = await this.#ports.cluster.applyDeviceStatus(
      writer.claim,
      devices,
      this.#stop.signal,
    );
    writer.applied = outcome === "applied" ? content : undefined;
    return outcome;
  }
}

interface Writer {
  readonly claim: ClaimRef;
  /** Whether something changed since the last write began. */
  dirty: boolean;
  forgotten: boolean;
  /** What the API server took last, as JSON; undefined when unknown. */
  applied: string | undefined;
  loop: Promise<void> | undefined;
}
