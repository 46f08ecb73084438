import { NOT_NEEDED } from "./aborted.ts";
import type { Clock } from "./clock.ts";
import { assertLockOrder, holding, type LockRank } from "./lock_order.ts";

/** When a task only waits for something, as for an answer on a network. */
export interface Waiting {
  readonly clock: Clock;
  /** It does if it still runs after this, in milliseconds. */
  readonly after: number;
  /** As many at once give their places to others. */
  readonly most: number;
}

/**
 * Where a task stands in the line: before those of a higher number. It is asked for each time that a
 * place becomes free.
 */
export type Turn = () => number;

/** Before everyone else. */
export const FIRST = 0;

/** How a task waits for a place. */
export interface RunOptions {
  /** By default behind those that came before. */
  readonly turn?: Turn;
  /** Limits the wait for a place: it is left when the signal is aborted. A task that has begun goes on. */
  readonly signal?: AbortSignal;
}

/**
 * Lets at most `width` tasks run at once; the others wait for their turn.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Limiter } from "./limiter.ts";
 *
 * const limiter = new Limiter(1);
 * const order: number[] = [];
 * const task = (number: number) => () => Promise.resolve(order.push(number));
 * await Promise.all([limiter.run(task(1)), limiter.run(task(2))]);
 * assert.deepEqual(order, [1, 2]);
 * ```
 */
export class Limiter {
  readonly #width: number;
  readonly #waiting: Waiting | undefined;
  readonly #rank: LockRank | undefined;
  /** Tasks that run without a place. */
  #placeless = 0;
  readonly #queue: { readonly turn: Turn; readonly enter: () => void }[] = [];
  #numbers = FIRST;
  #running = 0;
  readonly #patient: (() => void)[] = [];
  #patientRuns = false;

  /**
   * @param waiting tasks that only wait do not keep others, who would use the cores, from running
   * @param rank where a place stands in the order of locks
   */
  constructor(width: number, waiting?: Waiting, rank?: LockRank) {
    this.#width = width;
    this.#waiting = waiting;
    this.#rank = rank;
  }

  /** A number behind all that were drawn before. */
  drawNumber(): number {
    return ++this.#numbers;
  }

  /** @throws what the task throws, or the signal's reason when it is aborted before the task began */
  async run<T>(
    task: () => Promise<T>,
    { turn = this.#arrival(), signal }: RunOptions = {},
  ): Promise<T> {
    signal?.throwIfAborted();
    assertLockOrder(this.#rank);
    if (this.#running < this.#width) this.#running++;
    else await this.#wait(turn, signal);
    const ended = new AbortController();
    let placeless = false;
    void this.#knownToWait(ended.signal).then(() => {
      // It may have ended since the clock struck, and several may have struck at once.
      if (ended.signal.aborted || this.#placeless >= this.#waiting!.most) return;
      placeless = true;
      this.#placeless++;
      this.#givePlace();
    }, () => {});
    try {
      return await holding(this.#rank, task);
    } finally {
      ended.abort(NOT_NEEDED);
      if (placeless) this.#placeless--;
      else this.#givePlace();
      this.#letPatientIn();
    }
  }

  /** Resolves when the task has a place, which another gave it. */
  #wait(turn: Turn, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const place = {
        turn,
        enter: () => {
          signal?.removeEventListener("abort", leave);
          resolve();
        },
      };
      const leave = () => {
        this.#queue.splice(this.#queue.indexOf(place), 1);
        reject(signal?.reason);
        this.#letPatientIn();
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#queue.push(place);
    });
  }

  #arrival(): Turn {
    const number = this.drawNumber();
    return () => number;
  }

  /** Resolves when a task turns out to be one that only waits; rejects when it has ended before. */
  #knownToWait(ended: AbortSignal): Promise<void> {
    if (!this.#waiting) return Promise.reject(NOT_NEEDED);
    return this.#waiting.clock.sleep(this.#waiting.after, ended);
  }

  /** It goes to the next in line as it is, so nobody can slip in between. */
  #givePlace(): void {
    const next = this.#takeNext();
    if (next) next.enter();
    else this.#running--;
  }

  #takeNext() {
    let next = -1;
    let lowest = Infinity;
    for (let i = 0; i < this.#queue.length; i++) {
      const turn = this.#queue[i]!.turn();
      if (turn < lowest) [next, lowest] = [i, turn];
    }
    return next < 0 ? undefined : this.#queue.splice(next, 1)[0];
  }

  /**
   * For what can wait. It takes none of the places, so that it keeps nobody from one even if it
   * hangs: one such task at a time runs beside the others, and begins only while none of them waits.
   * Rejects with the signal's reason when it is aborted before the task began.
   */
  async runAside<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await new Promise<void>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const enter = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#patient.splice(this.#patient.indexOf(enter), 1);
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#patient.push(enter);
      this.#letPatientIn();
    });
    try {
      return await task();
    } finally {
      this.#patientRuns = false;
      this.#letPatientIn();
    }
  }

  #letPatientIn(): void {
    if (this.#patientRuns || this.#queue.length > 0) return;
    const enter = this.#patient.shift();
    if (!enter) return;
    this.#patientRuns = true;
    enter();
  }
}
