import type { Limiter } from "./limiter.ts";

/**
 * Reads that begin after they were asked for, so that they tell of what was so then; those who ask
 * for the same while a read waits for its turn share it.
 */
export class FreshReads<T> {
  readonly #limiter: Limiter;
  readonly #waiting = new Map<string, Promise<T>>();

  constructor(limiter: Limiter) {
    this.#limiter = limiter;
  }

  read(key: string, read: () => Promise<T>): Promise<T> {
    let waiting = this.#waiting.get(key);
    if (!waiting) {
      // Whoever asks in the same turn, as a burst of pods does, comes before the read begins.
      waiting = Promise.resolve().then(() =>
        this.#limiter.run(() => {
          this.#waiting.delete(key);
          return read();
        })
      );
      this.#waiting.set(key, waiting);
    }
    return waiting;
  }
}
