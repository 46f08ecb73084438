/**
 * Something that runs beside everything else until it is told to end.
 *
 * @example
 * ```ts
 * import { Background } from "./background.ts";
 *
 * const signals: AbortSignal[] = [];
 * {
 *   await using loop = new Background((signal) => {
 *     signals.push(signal);
 *     return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
 *   });
 *   console.assert(!loop.ended.aborted);
 * }
 * console.assert(signals[0]?.aborted);
 * ```
 */
export class Background implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #ended = new AbortController();
  /** Settles as what runs does. */
  readonly done: Promise<void>;

  /** @param run resolves soon after its signal is aborted */
  constructor(run: (signal: AbortSignal) => Promise<void>) {
    this.done = run(this.#stop.signal);
    this.done.then(
      () => this.#ended.abort(new Error("it has ended")),
      (error) => this.#ended.abort(error),
    );
  }

  /** Aborted when it has ended, with its failure where it failed. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Tells it to end. Resolves when it has, however it does. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the agent stops"));
    await Promise.allSettled([this.done]);
  }
}
