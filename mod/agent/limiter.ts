/** Lets at most `width` tasks run at once; the others wait in the order they came. */
export class Limiter {
  readonly #width: number;
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(width: number) {
    this.#width = width;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#width) this.#running++;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
    try {
      return await task();
    } finally {
      // The place goes to the next in line as it is, so nobody can slip in between.
      const next = this.#queue.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
