import type { Clock } from "./clock.ts";
import { assertLockOrder, holding, type LockRank } from "./lock_order.ts";

/** What a KeyedLock is made from. */
export interface KeyedLockOptions {
  readonly clock: Clock;
  /** Its place in the lock order (lock_order.ts). */
  readonly rank?: LockRank;
}

/** How long a task waits for its turn: until the signal is aborted, at most `limitMs` milliseconds. */
export interface TurnOptions {
  readonly signal: AbortSignal;
  readonly limitMs: number;
}

/** A task did not get its turn in time: another task with the same key is still running. */
export class NoTurnError extends Error {
  override readonly name = "NoTurnError";
}

/**
 * Runs one task at a time for each key, in the order of the calls; tasks with different keys run
 * side by side. A task whose wait ends leaves the queue at once and never runs.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { systemClock } from "./clock.ts";
 * import { KeyedLock } from "./keyed_lock.ts";
 *
 * const lock = new KeyedLock({ clock: systemClock });
 * const wait = { signal: new AbortController().signal, limitMs: 1000 };
 * const order: number[] = [];
 * const task = (number: number) => () => Promise.resolve(order.push(number));
 * await Promise.all([lock.run(["a"], task(1), wait), lock.run(["a"], task(2), wait)]);
 * assert.deepEqual(order, [1, 2]);
 * ```
 */
export class KeyedLock {
  readonly #options: KeyedLockOptions;
  /** By key, who has it and who waits for it after that. A task is in the lines of all its keys. */
  readonly #lines = new Map<string, Place[]>();

  constructor(options: KeyedLockOptions) {
    this.#options = options;
  }

  /**
   * Runs the task when no earlier task has one of its keys.
   *
   * @returns what the task returns
   * @throws NoTurnError when its turn did not come in time
   * @throws the signal's reason when it is aborted first
   */
  async run<T>(
    keys: readonly string[],
    task: () => Promise<T>,
    wait: TurnOptions,
  ): Promise<T> {
    wait.signal.throwIfAborted();
    assertLockOrder(this.#options.rank);
    // All lines are joined in one step, so two batches cannot hold what the other waits for.
    const place: Place = { keys: [...new Set(keys)], enter: () => {} };
    for (const key of place.keys) {
      const line = this.#lines.get(key);
      if (line) line.push(place);
      else this.#lines.set(key, [place]);
    }
    try {
      if (!this.#isFirst(place)) await this.#turn(place, wait);
      return await holding(this.#options.rank, task);
    } finally {
      this.#leave(place);
    }
  }

  async #turn(place: Place, { signal, limitMs }: TurnOptions): Promise<void> {
    const entered = new AbortController();
    const turn = new Promise<void>((resolve, reject) => {
      place.enter = resolve;
      const left = () => reject(signal.reason);
      signal.addEventListener("abort", left, { once: true });
      entered.signal.addEventListener("abort", () => signal.removeEventListener("abort", left));
      this.#options.clock.sleep(limitMs, entered.signal).then(() => {
        reject(new NoTurnError("another call for it is still under way"));
      }, () => {});
    });
    try {
      await turn;
      // It may have given up in the moment in which its turn came.
      signal.throwIfAborted();
    } finally {
      entered.abort(ENTERED);
    }
  }

  #isFirst(place: Place): boolean {
    return place.keys.every((key) => this.#lines.get(key)![0] === place);
  }

  #leave(place: Place): void {
    for (const key of place.keys) {
      const line = this.#lines.get(key)!;
      line.splice(line.indexOf(place), 1);
      if (line.length === 0) this.#lines.delete(key);
    }
    // Also those that stood behind one that gave up.
    for (const key of place.keys) {
      const next = this.#lines.get(key)?.[0];
      if (next && this.#isFirst(next)) next.enter();
    }
  }
}

interface Place {
  readonly keys: readonly string[];
  /** Called when its turn has come, perhaps more than once. */
  enter: () => void;
}

const ENTERED = new Error("its turn has come");
