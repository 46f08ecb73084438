/** The pauses between tries: from `first`, doubled up to `most`, in milliseconds. */
export interface Backoff {
  readonly first: number;
  readonly most: number;
}

/**
 * Returns the pause after the `failures`-th failure in a row (1, 2, …), in milliseconds. Up to a
 * fifth is taken off at random, so that callers that failed together do not retry together.
 *
 * @param random returns a number from 0 to 1, without 1
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { pauseAfter } from "./backoff.ts";
 *
 * const backoff = { first: 100, most: 1000 };
 * assert.equal(pauseAfter(1, backoff, () => 0), 100);
 * assert.equal(pauseAfter(3, backoff, () => 0), 400);
 * assert.equal(pauseAfter(9, backoff, () => 0), 1000);
 * ```
 */
export function pauseAfter(failures: number, { first, most }: Backoff, random = Math.random) {
  const full = Math.min(most, first * 2 ** Math.min(failures - 1, 30));
  return full * (1 - random() / 5);
}
