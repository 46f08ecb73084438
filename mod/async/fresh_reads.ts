import { KeyedLock } from "./keyed_lock.ts";
import type { Limiter } from "./limiter.ts";

/**
 * Reads that begin after they were asked for, so that they tell of what was so then; those who ask
 * for the same while a read waits for its turn share it. The same is read by one at a time: what one
 * makes of its answer is not undone by an older answer that comes later.
 */
export class FreshReads<T> {
  readonly #limiter: Limiter;
  readonly #locks = new KeyedLock();
  readonly #waiting = new Map<string, Promise<T>>();

  constructor(limiter: Limiter) {
    this.#limiter = limiter;
  }

  read(key: string, read: () => Promise<T>): Promise<T> {
    let waiting = this.#waiting.get(key);
    if (!waiting) {
      // Whoever asks in the same turn, as a burst of pods does, comes before the read begins.
      waiting = this.#locks.run([key], () =>
        this.#limiter.run(() => {
          this.#waiting.delete(key);
          return read();
        }));
      this.#waiting.set(key, waiting);
    }
    return waiting;
  }
}
