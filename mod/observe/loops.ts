import type { Check } from "./check.ts";

/** The loops that run for as long as the agent does. */
export class Loops {
  readonly #running = new Map<string, boolean>();

  /** Watches a loop. That it failed is its caller's to deal with; it has ended all the same. */
  watch(name: string, loop: Promise<unknown>): void {
    this.#running.set(name, true);
    const end = () => void this.#running.set(name, false);
    loop.then(end, end);
  }

  checks(): Check[] {
    return [...this.#running].map(([name, ok]) => ({
      name,
      ok,
      says: ok ? "running" : "ended: the agent must be started anew",
    }));
  }
}
