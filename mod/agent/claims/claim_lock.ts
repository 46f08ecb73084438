import type { ClaimRef } from "../../claim/attachment.ts";
import { aborted, NOT_NEEDED } from "../../async/aborted.ts";
import type { Clock } from "../../async/clock.ts";
import type { KeyedLock, TurnOptions } from "../../async/keyed_lock.ts";
import { describeClaim } from "../describe.ts";

/** A task whose time is over tells within this what it waits for; then the answer goes without it. */
const LAST_WORDS_MS = 1_000;

/**
 * Runs a task that has the claim for itself. The answer comes within the limit, or a second after
 * the signal is aborted; a task that hangs on the disk then keeps the claim until it ends.
 *
 * @throws Error that names the claim when its turn does not come in time, or when the task does not
 *   end after that; what the task throws
 */
export async function underClaimLock<T>(
  locks: KeyedLock,
  { clock, signal, limitMs, ...claim }: ClaimRef & TurnOptions & { readonly clock: Clock },
  task: () => Promise<T>,
): Promise<T> {
  let begun = false;
  const running = locks.run([claim.uid], () => {
    begun = true;
    return task();
  }, { signal, limitMs });
  const ended = new AbortController();
  const overdue = aborted(signal, ended.signal)
    .then(() => clock.sleep(LAST_WORDS_MS, ended.signal))
    .then(() => {
      throw new Error(`${describeClaim(claim)}: the node's disk does not answer`);
    });
  overdue.catch(() => {});
  running.catch(() => {});
  try {
    return await Promise.race([running, overdue]);
  } catch (error) {
    if (begun) throw error;
    throw new Error(`${describeClaim(claim)}: another call for it is still under way`, {
      cause: error,
    });
  } finally {
    ended.abort(NOT_NEEDED);
  }
}
