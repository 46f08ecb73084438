import { NOT_NEEDED } from "./aborted.ts";
import type { Clock } from "./clock.ts";

/** What was waited for has not come in time. */
export class TimeLimitError extends Error {
  override readonly name = "TimeLimitError";
}

/**
 * What a promise resolves to, if it does in time. It goes on when it does not.
 *
 * @param options.what what takes that long, for the error
 * @throws TimeLimitError after `limitMs` milliseconds, or what the promise rejects with
 */
export async function within<T>(
  promise: Promise<T>,
  { limitMs, what, clock }: {
    readonly limitMs: number;
    readonly what: string;
    readonly clock: Clock;
  },
): Promise<T> {
  const done = new AbortController();
  const limit = clock.sleep(limitMs, done.signal).then(() => {
    throw new TimeLimitError(`${what} took longer than ${limitMs / 1000} s`);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    limit.catch(() => {});
    done.abort(NOT_NEEDED);
  }
}
