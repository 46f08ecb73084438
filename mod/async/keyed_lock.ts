import type { Clock } from "./clock.ts";
import { assertLockOrder, holding, type LockRank } from "./lock_order.ts";

export interface KeyedLockOptions {
  readonly clock: Clock;
  /** Where it stands in the order of locks. */
  readonly rank?: LockRank;
}

/** How long a task waits for its turn: until the signal is aborted, and so many milliseconds at most. */
export interface TurnOptions {
  readonly signal: AbortSignal;
  readonly limitMs: number;
}

/** A task did not get its turn in time: another one with the same key is still under way. */
export class NoTurnError extends Error {
  override readonly name = "NoTurnError";
}

/**
 * One task at a time for each key, in the order in which they came; tasks of different keys run side
 * by side. A task that gives up leaves the line at once and never runs.
 */
export class KeyedLock {
  readonly #options: KeyedLockOptions;
  /** By key, who has it and who waits for it after that. A task is in the lines of all its keys. */
  readonly #lines = new Map<string, Place[]>();

  constructor(options: KeyedLockOptions) {
    this.#options = options;
  }

  /**
   * Runs the task when its turn has come; at once where nobody has one of its keys.
   *
   * @throws NoTurnError when its turn did not come in time
   * @throws what the signal was aborted with, when that came first
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
  /** Called when its turn has come, maybe more than once. */
  enter: () => void;
}

const ENTERED = new Error("its turn has come");
