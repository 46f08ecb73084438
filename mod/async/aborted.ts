/**
 * Why a wait is ended that nobody needs any more. It is one for all: `abort()` without a reason makes
 * an error each time, with its stack.
 */
export const NOT_NEEDED: Error = new Error("it is no longer needed");

/**
 * Resolves when the signal is aborted. A wait for a signal that outlives it must name its own end,
 * or the signal keeps a listener of each.
 *
 * @param end aborted when nobody waits any longer; the promise then never resolves
 */
export function aborted(signal: AbortSignal, end?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true, signal: end });
  });
}

/** What the promise comes to; rejects with the signal's reason when that is aborted first. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    // Whoever gave up does not want to hear of it, and it must not go unhandled.
    if (signal.aborted) {
      promise.catch(() => {});
      return reject(signal.reason);
    }
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
