/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/**
 * What a promise resolves to, unless the signal is aborted before. It goes on then, and whether it
 * fails is of no interest.
 *
 * @throws the signal's reason, or what the promise rejects with
 */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  const stopped = aborted(until).then(() => {
    throw until.reason;
  });
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    stopped.catch(() => {});
    over.abort();
  }
}
