import { assertLockOrder, holding } from "../../async/lock_order.ts";

/**
 * By the name of a network: ADD and DEL go side by side, GC goes alone (CNI SPEC, section 3:
 * lifecycle and ordering).
 */
export class NetworkLocks {
  readonly #users = new Map<string, number>();
  readonly #collecting = new Map<string, Promise<unknown>>();

  /** Runs side by side with its like, after a GC that is under way. */
  async use<T>(network: string, task: () => Promise<T>): Promise<T> {
    assertLockOrder("network");
    for (let gc; (gc = this.#collecting.get(network));) await gc.catch(() => {});
    this.#users.set(network, (this.#users.get(network) ?? 0) + 1);
    try {
      return await holding("network", task);
    } finally {
      const left = this.#users.get(network)! - 1;
      if (left > 0) this.#users.set(network, left);
      else this.#users.delete(network);
    }
  }

  /**
   * Runs alone. A GC that would have to wait would keep those that come after it waiting too: where
   * someone uses the network it is not run, and false is the answer.
   */
  async collect(network: string, task: () => Promise<void>): Promise<boolean> {
    if (this.#users.has(network) || this.#collecting.has(network)) return false;
    const run = holding("network", task);
    this.#collecting.set(network, run);
    try {
      await run;
      return true;
    } finally {
      this.#collecting.delete(network);
    }
  }
}
