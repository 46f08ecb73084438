/** One task at a time for each key; tasks of different keys run side by side. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<unknown>>();

  async run<T>(keys: readonly string[], task: () => Promise<T>): Promise<T> {
    // All keys are taken in one step, so two batches cannot hold what the other waits for.
    const unique = [...new Set(keys)];
    const before = unique.map((key) => this.#tails.get(key));
    const result = Promise.all(before).then(task);
    const tail = result.then(() => {}, () => {});
    for (const key of unique) this.#tails.set(key, tail);
    try {
      return await result;
    } finally {
      for (const key of unique) {
        if (this.#tails.get(key) === tail) this.#tails.delete(key);
      }
    }
  }
}
