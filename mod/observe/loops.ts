import type { Check } from "./check.ts";

/** The loops that run for as long as the agent does. */
export class Loops {
  readonly #running = new Map<string, boolean>();

  /** @param until when aborted, the loop may end */
  watch(name: string, loop: Promise<unknown>, until?: AbortSignal): void {
    this.#running.set(name, true);
    // A failure is not taken care of here: it ends the process, unless others do.
    void loop.finally(() => {
      if (until?.aborted) this.#running.delete(name);
      else this.#running.set(name, false);
    });
  }

  checks(): Check[] {
    return [...this.#running].map(([name, ok]) => ({
      name,
      ok,
      says: ok ? "running" : "ended: the agent must be started anew",
    }));
  }
}
