import type { Clock } from "../../async/clock.ts";
import type { LeadLock, Log } from "../ports.ts";
import { errorMessage } from "../../async/error_message.ts";

/** How often a new agent looks whether the lead is free, in milliseconds: nothing is attached meanwhile. */
const NEXT_INTERVAL = 50;
/** How often the leader looks whether another agent is ready to lead. */
const LEADER_INTERVAL = 250;
/** Calls that the kubelet made before it knew the new agent are answered yet, in milliseconds. */
const LAST_CALLS = 3_000;
/** How often one that handed over looks: it leads again only if its successor ends. */
const RESERVE_INTERVAL = 1_000;

export interface LeaderElectionPorts {
  readonly lock: LeadLock;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Which one of a node's agents acts: during a rolling update there are two. The one that came last
 * leads from when it is ready; the one before ends what it does, hands over, and stands by, so that
 * it leads again should its successor end.
 */
export class LeaderElection {
  readonly #ports: LeaderElectionPorts;

  constructor(ports: LeaderElectionPorts) {
    this.#ports = ports;
  }

  /**
   * Runs a term each time this agent leads, until the signal is aborted.
   *
   * @param options.ready resolves when this agent could lead: only then another hands over to it
   * @param term leads until its signal is aborted; the lead is free for others when it resolves
   */
  async run(
    term: (signal: AbortSignal) => Promise<void>,
    { ready, signal }: { readonly ready: Promise<unknown>; readonly signal: AbortSignal },
  ): Promise<void> {
    const { lock } = this.#ports;
    try {
      for (let isNew = true; !signal.aborted; isNew = false) {
        await this.#obtain(isNew ? ready : undefined, signal);
        if (signal.aborted) return;
        const over = new AbortController();
        const watch = this.#awaitSuccessor(over, signal);
        try {
          await term(AbortSignal.any([signal, over.signal]));
        } finally {
          over.abort();
          await watch;
          lock.release();
        }
      }
    } finally {
      lock.standDown();
    }
  }

  /** Resolves when this agent leads, or when the signal is aborted. */
  async #obtain(ready: Promise<unknown> | undefined, signal: AbortSignal): Promise<void> {
    const { lock, clock, log } = this.#ports;
    if (ready && lock.take()) return;
    log.info("another agent of this node leads; standing by");
    let isReady = false;
    void ready?.then(() => isReady = true);
    while (!signal.aborted) {
      await clock.sleep(ready ? NEXT_INTERVAL : RESERVE_INTERVAL, signal).catch(() => {});
      if (signal.aborted) return;
      const isNext = isReady && this.#tried(() => lock.standNext());
      // Nobody takes the lead from who is next.
      if (this.#tried(() => (isNext || !lock.nextStands()) && lock.take())) {
        lock.standDown();
        log.info("leading now");
        return;
      }
    }
  }

  /** Where the locks cannot be looked at (no descriptor is left), they are looked at again later. */
  #tried(look: () => boolean): boolean {
    try {
      return look();
    } catch (error) {
      this.#ports.log.debug("cannot look at the locks now", { error: errorMessage(error) });
      return false;
    }
  }

  async #awaitSuccessor(over: AbortController, signal: AbortSignal): Promise<void> {
    const { lock, clock, log } = this.#ports;
    const until = AbortSignal.any([signal, over.signal]);
    while (!until.aborted) {
      await clock.sleep(LEADER_INTERVAL, until).catch(() => {});
      if (until.aborted || !this.#tried(() => lock.nextStands())) continue;
      log.info("another agent of this node is ready to lead; handing over");
      await clock.sleep(LAST_CALLS, until).catch(() => {});
      over.abort();
    }
  }
}
