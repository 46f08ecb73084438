import { unlessAborted } from "./aborted.ts";
import type { KeyedLock, TurnOptions } from "./keyed_lock.ts";
import type { Limiter } from "./limiter.ts";

/** What bounds the reads. */
export interface FreshReadsOptions {
  /** Bounds how many read at once. */
  readonly limiter: Limiter;
  /** The same is read by one at a time. */
  readonly locks: KeyedLock;
  /** How long a read waits for its turn. */
  readonly turn: TurnOptions;
}

/**
 * Reads that begin after they were asked for, so that they tell of what was so then; those who ask
 * for the same while a read waits for its turn share it. The same is read by one at a time: what one
 * makes of its answer is not undone by an older answer that comes later.
 */
export class FreshReads<T> {
  readonly #options: FreshReadsOptions;
  readonly #waiting = new Map<string, Promise<T>>();

  constructor(options: FreshReadsOptions) {
    this.#options = options;
  }

  /**
   * @param signal ends this one's wait, and not the read, which others may share
   * @throws NoTurnError, what the read throws, or what the signal was aborted with
   */
  read(key: string, read: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const waiting = this.#waiting.get(key) ?? this.#begin(key, read);
    return unlessAborted(waiting, signal);
  }

  #begin(key: string, read: () => Promise<T>): Promise<T> {
    const { limiter, locks, turn } = this.#options;
    const begun = () => {
      if (this.#waiting.get(key) === reading) this.#waiting.delete(key);
    };
    // Whoever asks in the same turn, as a burst of pods does, comes before the read begins.
    const reading: Promise<T> = Promise.resolve().then(() =>
      locks.run([key], () =>
        limiter.run(() => {
          begun();
          return read();
        }, { signal: turn.signal }), turn)
    );
    this.#waiting.set(key, reading);
    reading.then(begun, begun);
    return reading;
  }
}
