import type { Clock } from "../../async/clock.ts";
import type { SharedClaims } from "../claims/shared_claims.ts";
import type { Journal } from "../ports.ts";

/** A disk that takes nothing does so for seconds, or until someone comes. */
const INTERVAL_MS = 30_000;

/**
 * Removes every half minute what failed writes have left of records, and forgets claims that were
 * unprepared long ago, until the signal is aborted.
 */
export async function tidy(
  { journal, clock }: { readonly journal: Pick<Journal, "tidy">; readonly clock: Clock },
  { claims, signal }: {
    readonly claims: Pick<SharedClaims, "expire">;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(INTERVAL_MS, signal).catch(() => {});
    if (signal.aborted) return;
    journal.tidy();
    claims.expire();
  }
}
