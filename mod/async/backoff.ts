/** How long to wait before the next try: doubles from `first` up to `most`, in milliseconds. */
export interface Backoff {
  readonly first: number;
  readonly most: number;
}

/**
 * The pause after the `failures`-th failure in a row (1, 2, …), with up to a fifth taken off at
 * random so that many that failed together do not come back together.
 */
export function pauseAfter(failures: number, { first, most }: Backoff, random = Math.random) {
  const full = Math.min(most, first * 2 ** Math.min(failures - 1, 30));
  return full * (1 - random() / 5);
}
