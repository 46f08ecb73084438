import type { ClaimRef } from "../../claim/attachment.ts";
import type { KeyedLock, TurnOptions } from "../../async/keyed_lock.ts";
import { describeClaim } from "../describe.ts";

/**
 * Runs a task that has the claim for itself.
 *
 * @throws Error that names the claim when its turn does not come in time; what the task throws
 */
export async function underClaimLock<T>(
  locks: KeyedLock,
  { signal, limitMs, ...claim }: ClaimRef & TurnOptions,
  task: () => Promise<T>,
): Promise<T> {
  let begun = false;
  try {
    return await locks.run([claim.uid], () => {
      begun = true;
      return task();
    }, { signal, limitMs });
  } catch (error) {
    if (begun) throw error;
    throw new Error(`${describeClaim(claim)}: another call for it is still under way`, {
      cause: error,
    });
  }
}
