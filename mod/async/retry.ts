import { type Backoff, pauseAfter } from "./backoff.ts";
import type { Clock } from "./clock.ts";

/** How often and until when a task is tried. */
export interface RetryOptions {
  readonly clock: Clock;
  /** The pauses between tries. */
  readonly backoff: Backoff;
  /** The limit: without it a task that never succeeds would be tried forever. */
  readonly signal: AbortSignal;
  /** Called after each failure. @param failures how many there were in a row: 1, 2, … */
  readonly failed?: (error: unknown, failures: number) => void;
}

/**
 * Runs a task until it succeeds, with a growing pause after each failure.
 *
 * @throws the signal's reason when it is aborted before the task succeeded
 */
export async function retry<T>(
  task: () => Promise<T>,
  { clock, backoff, signal, failed }: RetryOptions,
): Promise<T> {
  for (let failures = 1;; failures++) {
    signal.throwIfAborted();
    try {
      return await task();
    } catch (error) {
      signal.throwIfAborted();
      failed?.(error, failures);
    }
    await clock.sleep(pauseAfter(failures, backoff), signal);
  }
}
