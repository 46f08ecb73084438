import { allocationResults, sameDevices } from "../../claim/allocation.ts";
import { claimRef } from "../../claim/plan.ts";
import { pauseAfter } from "../../async/backoff.ts";
import type { Clock } from "../../async/clock.ts";
import { errorMessage } from "../../async/error_message.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import { describeClaim } from "../describe.ts";
import type { ClaimRecord } from "../model.ts";
import type { Cluster, Log } from "../ports.ts";
import type { ClaimStore } from "./store.ts";

/** A kubelet unprepares a claim within seconds after its last pod ended. */
const INTERVAL_MS = 30_000;
/** A claim that seems stale is checked again after this time. */
const SECOND_LOOK_MS = 5_000;

/** What the search for stale claims needs outside mod/agent. */
export interface StaleClaimsPorts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the search for stale claims shares with the rest of the agent. */
export interface StaleClaimsOptions {
  readonly driver: string;
  readonly sandboxes: Sandboxes;
  readonly claims: ClaimStore;
  /**
   * Detaches what is left and releases the claim, unless a living sandbox has started to use it.
   */
  readonly release: (record: ClaimRecord, why: string, signal: AbortSignal) => Promise<void>;
}

interface Stale {
  readonly record: ClaimRecord;
  readonly why: string;
}

/**
 * Finds claims that the kubelet will never unprepare, because it lost its own records of them: the
 * API server does not have them any more, or has another one with that name, or one that is allocated
 * otherwise by now, and no sandbox that lives uses them.
 *
 * An API server that does not answer proves nothing; one that says so twice is believed.
 */
export class StaleClaims {
  readonly #ports: StaleClaimsPorts;
  readonly #options: StaleClaimsOptions;

  constructor(ports: StaleClaimsPorts, options: StaleClaimsOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /**
   * Checks all unused claims at once, and from then on those that no sandbox has used for half a
   * minute, until the signal is aborted.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    let before: ReadonlySet<ClaimRecord> | undefined;
    while (!signal.aborted) {
      const unused = this.#unused();
      const due = unused.filter((record) => before?.has(record) ?? true);
      before = new Set(unused);
      const suspects = await this.#stale(due, signal);
      if (suspects.length > 0) {
        await clock.sleep(SECOND_LOOK_MS, signal).catch(() => {});
        const records = suspects.map(({ record }) => record);
        for (const stale of await this.#stale(records, signal)) await this.#release(stale, signal);
      }
      const pause = pauseAfter(1, { first: INTERVAL_MS, most: INTERVAL_MS });
      await clock.sleep(pause, signal).catch(() => {});
    }
  }

  #unused(): ClaimRecord[] {
    return this.#options.claims.all().filter(({ claim }) =>
      !this.#options.sandboxes.inUse(claim.uid)
    );
  }

  /** The claims that no sandbox uses and that differ from those in the API server. */
  async #stale(records: readonly ClaimRecord[], signal: AbortSignal): Promise<Stale[]> {
    const { cluster, log } = this.#ports;
    const found: Stale[] = [];
    for (const record of records) {
      const { claim } = record;
      if (signal.aborted) return [];
      if (this.#options.sandboxes.inUse(claim.uid)) continue;
      try {
        const why = this.#staleness(record, await cluster.getClaim(claim, signal));
        if (why !== undefined) found.push({ record, why });
      } catch (error) {
        // If the API server does not answer for one claim, the others are not asked for.
        log.debug(`cannot tell whether ${describeClaim(claim)} is still there`, {
          error: errorMessage(error),
        });
        return found;
      }
    }
    return found;
  }

  /** How the record differs from the claim in the API server; undefined if it does not. */
  #staleness({ claim, attachments }: ClaimRecord, current: unknown): string | undefined {
    if (current === undefined || claimRef(current).uid !== claim.uid) {
      return "is gone from the API server";
    }
    const devices = allocationResults(current, this.#options.driver);
    if (sameDevices(attachments, devices)) return undefined;
    return devices.length === 0 ? "is not allocated any more" : "has other devices now";
  }

  async #release({ record, why }: Stale, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.release(record, why, signal);
    } catch (error) {
      this.#ports.log.warn(
        `${describeClaim(record.claim)} ${why}, but cannot be released on this node yet`,
        {
          error: errorMessage(error),
        },
      );
    }
  }
}
