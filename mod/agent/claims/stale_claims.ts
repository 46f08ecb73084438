import type { ClaimRef } from "../../claim/attachment.ts";
import { pauseAfter } from "../../async/backoff.ts";
import type { Clock } from "../../async/clock.ts";
import type { Cluster, Log } from "../ports.ts";
import type { ClaimStore } from "./store.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import { describeClaim } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";

const INTERVAL = 5 * 60_000;
/** A claim that is gone is looked for again after this. */
const SECOND_LOOK = 5_000;

export interface StaleClaimsPorts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Log;
}

export interface StaleClaimsSources {
  readonly sandboxes: Sandboxes;
  readonly claims: ClaimStore;
  /** Detaches what is left and forgets the claim, unless a sandbox that lives came to use it. */
  readonly release: (claim: ClaimRef, signal: AbortSignal) => Promise<void>;
}

/**
 * Finds claims that the kubelet will never unprepare, because it lost its own records of them: the
 * API server has them no more, or another one of that name, and no sandbox that lives uses them.
 *
 * An API server that does not answer proves nothing; one that says so twice is believed.
 */
export class StaleClaims {
  readonly #ports: StaleClaimsPorts;
  readonly #sources: StaleClaimsSources;

  constructor(ports: StaleClaimsPorts, sources: StaleClaimsSources) {
    this.#ports = ports;
    this.#sources = sources;
  }

  /** At once and every five minutes, until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    while (!signal.aborted) {
      const known = this.#sources.claims.all().map(({ claim }) => claim);
      const suspects = await this.#gone(known, signal);
      if (suspects.length > 0) {
        await clock.sleep(SECOND_LOOK, signal).catch(() => {});
        for (const claim of await this.#gone(suspects, signal)) await this.#release(claim, signal);
      }
      const pause = pauseAfter(1, { first: INTERVAL, most: INTERVAL });
      await clock.sleep(pause, signal).catch(() => {});
    }
  }

  /** Those that no sandbox uses and that the API server says it does not have. */
  async #gone(claims: readonly ClaimRef[], signal: AbortSignal): Promise<ClaimRef[]> {
    const { cluster, log } = this.#ports;
    const gone: ClaimRef[] = [];
    for (const claim of claims) {
      if (signal.aborted) return [];
      if (this.#sources.sandboxes.inUse(claim.uid)) continue;
      try {
        const current = await cluster.getClaim(claim, signal);
        const { uid } = (current?.metadata ?? {}) as { readonly uid?: unknown };
        if (uid !== claim.uid) gone.push(claim);
      } catch (error) {
        // One that does not answer now need not be asked for all of them.
        log.debug(`cannot tell whether ${describeClaim(claim)} is still there`, {
          error: errorMessage(error),
        });
        return gone;
      }
    }
    return gone;
  }

  async #release(claim: ClaimRef, signal: AbortSignal): Promise<void> {
    const { log } = this.#ports;
    try {
      await this.#sources.release(claim, signal);
    } catch (error) {
      log.warn(`${describeClaim(claim)} is gone from the API server, but cannot go here yet`, {
        error: errorMessage(error),
      });
    }
  }
}
