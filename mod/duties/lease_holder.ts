import type { Log } from "../agent/ports.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { WarnOnce } from "../async/warn_once.ts";
import { within } from "../async/within.ts";
import {
  GIVE_UP_MS,
  heldBy,
  isFree,
  look,
  released,
  RENEW_MS,
  type Sighting,
} from "./lease_terms.ts";
import type { LeaseApi, ReadLease } from "./ports.ts";

/** How often one that does not hold the Lease looks at it: every agent of the cluster does. */
const LOOK_MS = 60_000;
/** Before another try, where the API server has not answered or another agent was quicker. */
const RETRY_MS = 5_000;
/** The last write of a holder that ends, in milliseconds. */
const RELEASE_MS = 3_000;

export interface LeaseHolderOptions {
  readonly api: LeaseApi;
  /** Another one for each process: one that starts again does not take itself for its predecessor. */
  readonly me: string;
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 to 1, without 1: agents that start together do not look together. */
  readonly random?: () => number;
}

/**
 * Runs what one agent of the cluster does for all, while this one holds the Lease.
 *
 * A Lease does not keep two holders from acting at the same time: one that was suspended still
 * believes that it holds it. Whatever a term writes must be right then, too.
 */
export class LeaseHolder {
  readonly #options: LeaseHolderOptions;
  readonly #problem: WarnOnce;

  constructor(options: LeaseHolderOptions) {
    this.#options = options;
    this.#problem = new WarnOnce(options.log);
  }

  /**
   * Runs a term each time that this agent holds the Lease, until the signal is aborted.
   *
   * @param term acts until its signal is aborted
   */
  async run(term: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    while (!signal.aborted) {
      const taken = await this.#obtain(signal);
      if (!taken) return;
      log.info("this agent does what one agent of the cluster does for all");
      const over = new AbortController();
      const renewing = this.#renew(taken, { over, signal });
      try {
        await term(AbortSignal.any([signal, over.signal]));
      } finally {
        over.abort(new Error("the term is over"));
        await renewing;
        await this.#release();
      }
    }
  }

  /** The Lease, once this agent holds it, and since when; undefined when the signal is aborted. */
  async #obtain(signal: AbortSignal): Promise<Held | undefined> {
    const { api, me, clock, random = Math.random } = this.#options;
    let seen: Sighting | undefined;
    let pause = LOOK_MS * random() / 10;
    for (;;) {
      await clock.sleep(pause, signal).catch(() => {});
      if (signal.aborted) return undefined;
      pause = LOOK_MS * (0.5 + random());
      try {
        const over = await api.read(signal);
        const now = clock.elapsed();
        if (over) seen = look(over, { before: seen, now });
        if (!isFree(over, { seen, now })) continue;
        const lease = await api.write(heldBy(me, { over, now: clock.now() }), { over, signal });
        this.#problem.over();
        if (lease !== "conflict") return { lease, renewed: now };
      } catch (error) {
        if (signal.aborted) return undefined;
        this.#failed("cannot look at the Lease of the cluster's duties", error);
      }
    }
  }

  /** Renews the Lease until it is lost, which ends the term, or the term is over. */
  async #renew(
    held: Held,
    { over, signal }: { readonly over: AbortController; readonly signal: AbortSignal },
  ): Promise<void> {
    const { clock, log } = this.#options;
    const until = AbortSignal.any([signal, over.signal]);
    let current: ReadLease | undefined = held.lease;
    let renewed = held.renewed;
    let pause = RENEW_MS;
    while (!until.aborted) {
      const left = () => Math.max(0, GIVE_UP_MS - (clock.elapsed() - renewed));
      await clock.sleep(Math.min(pause, left()), until).catch(() => {});
      if (until.aborted) return;
      pause = RETRY_MS;
      const asked = clock.elapsed();
      try {
        const limit = { limitMs: left(), what: "renewing the Lease", clock };
        const answer: Renewal = await within(this.#renewOnce(current, until), limit);
        this.#problem.over();
        if (answer.is === "lost") {
          log.info("another agent does what one agent of the cluster does for all", {
            holder: answer.holder,
          });
          return over.abort(new Error("another agent holds the Lease"));
        }
        current = answer.lease;
        if (answer.is === "renewed") [renewed, pause] = [asked, RENEW_MS];
      } catch (error) {
        if (until.aborted) return;
        this.#failed("cannot renew the Lease of the cluster's duties", error);
      }
      if (left() > 0) continue;
      log.warn("no longer doing what one agent of the cluster does for all: the Lease ran out");
      over.abort(new Error("the Lease has run out"));
    }
  }

  async #renewOnce(over: ReadLease | undefined, signal: AbortSignal): Promise<Renewal> {
    const { api, me, clock } = this.#options;
    const lease = await api.write(heldBy(me, { over, now: clock.now() }), { over, signal });
    if (lease !== "conflict") return { is: "renewed", lease };
    const current = await api.read(signal);
    const isLost = current !== undefined && current.holder !== me;
    return isLost ? { is: "lost", holder: current.holder } : { is: "changed", lease: current };
  }

  /** Best effort: where it fails, the others wait until the Lease has run out. */
  async #release(): Promise<void> {
    const { api, me, clock, log } = this.#options;
    const signal = AbortSignal.timeout(RELEASE_MS);
    try {
      const over = await api.read(signal);
      if (over?.holder === me) await api.write(released(over, clock.now()), { over, signal });
    } catch (error) {
      log.debug("cannot release the Lease of the cluster's duties", { error: errorMessage(error) });
    }
  }

  #failed(message: string, error: unknown): void {
    this.#problem.say(`${message}; trying again`, { error: errorMessage(error) });
  }
}

/** What has come of a try to renew the Lease. */
type Renewal =
  | { readonly is: "renewed"; readonly lease: ReadLease }
  /** It was edited or deleted, or the answer to an earlier write was lost: to be tried again over this. */
  | { readonly is: "changed"; readonly lease: ReadLease | undefined }
  | { readonly is: "lost"; readonly holder: string };

interface Held {
  readonly lease: ReadLease;
  /** Before it was written, by the clock that is never set back. */
  readonly renewed: number;
}
