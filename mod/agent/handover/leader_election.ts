import type { Clock } from "../../async/clock.ts";
import type { LeadLock, Log } from "../ports.ts";
import { errorMessage } from "../../async/error_message.ts";

/** How often a new agent looks whether the lead is free: nothing is attached meanwhile. */
const NEXT_INTERVAL_MS = 50;
/** How often the leader looks whether another agent is ready to lead. */
const LEADER_INTERVAL_MS = 250;
/** Calls that the kubelet made before it knew the new agent are still answered for this long. */
const LAST_CALLS_MS = 3_000;
/** How often one that handed over looks: it leads again only if its successor ends. */
const RESERVE_INTERVAL_MS = 1_000;

/** What the election needs outside mod/agent. */
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
   * @param options.ready whether this agent could lead now: only then another hands over to it
   * @param term leads until its signal is aborted; the lead is free for others when it resolves
   */
  async run(
    term: (signal: AbortSignal) => Promise<void>,
    { ready, signal }: { readonly ready: () => boolean; readonly signal: AbortSignal },
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
  async #obtain(ready: (() => boolean) | undefined, signal: AbortSignal): Promise<void> {
    const { lock, clock, log } = this.#ports;
    if (ready && this.#takeFree({ isNext: false })) return;
    log.info("another agent of this node leads; standing by");
    while (!signal.aborted) {
      await clock.sleep(ready ? NEXT_INTERVAL_MS : RESERVE_INTERVAL_MS, signal).catch(() => {});
      if (signal.aborted) return;
      const isReady = ready?.() ?? false;
      if (!isReady) lock.standDown();
      const isNext = isReady && this.#tried(() => lock.standNext());
      if (!this.#tried(() => this.#takeFree({ isNext }))) continue;
      lock.standDown();
      log.info("leading now");
      return;
    }
  }

  /**
   * Takes the lead if it is free, but not from another agent that stands next. It looks for one only
   * while it has the lead: a leader of an earlier version takes any look for a claim to be next.
   */
  #takeFree({ isNext }: { readonly isNext: boolean }): boolean {
    const { lock } = this.#ports;
    if (!lock.take()) return false;
    let leads = isNext;
    try {
      leads ||= !lock.nextStands();
    } finally {
      if (!leads) lock.release();
    }
    return leads;
  }

  /** Where the locks cannot be looked at (no descriptor is left), they are looked at again later. */
  #tried(look: () => boolean): boolean {
    try {
      return look();
    } catch (error) {
      this.#ports.log.debug("cannot read the leader locks", { error: errorMessage(error) });
      return false;
    }
  }

  async #awaitSuccessor(over: AbortController, signal: AbortSignal): Promise<void> {
    const { lock, clock, log } = this.#ports;
    const until = AbortSignal.any([signal, over.signal]);
    const nextStands = () => this.#tried(() => lock.nextStands());
    while (!until.aborted) {
      await clock.sleep(LEADER_INTERVAL_MS, until).catch(() => {});
      if (until.aborted || !nextStands()) continue;
      log.info("another agent of this node is ready to lead; handing over");
      await clock.sleep(LAST_CALLS_MS, until).catch(() => {});
      if (until.aborted) return;
      if (nextStands()) return over.abort();
      log.info("the agent that was ready to lead is gone; continuing to lead");
    }
  }
}
