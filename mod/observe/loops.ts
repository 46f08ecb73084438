import type { Check } from "./check.ts";

/** The loops that run for as long as the agent does. */
export class Loops {
  readonly #loops = new Map<string, { readonly runs: boolean; readonly says: () => string }>();

  /**
   * @param options.until when aborted, the loop may end
   * @param options.says what it does at the moment
   */
  watch(
    name: string,
    loop: Promise<unknown>,
    { until, says = () => "running" }: {
      readonly until?: AbortSignal;
      readonly says?: () => string;
    } = {},
  ): void {
    this.#loops.set(name, { runs: true, says });
    // A failure is not taken care of here: it ends the process, unless others do.
    void loop.finally(() => {
      if (until?.aborted) this.#loops.delete(name);
      else this.#loops.set(name, { runs: false, says: () => "ended: restart the agent" });
    });
  }

  checks(): Check[] {
    return [...this.#loops].map(([name, { runs, says }]) => ({ name, ok: runs, says: says() }));
  }
}
