import type { Log } from "../agent/ports.ts";
import type { Check } from "./check.ts";

/** Who must know the agent before it is of use. */
export type Side = "NRI" | "kubelet";

const KNOWN: Readonly<Record<Side, string>> = { NRI: "synchronized", kubelet: "registered" };

/** Whether both sides know the agent; says once, each time, when they have come to. */
export class Readiness {
  readonly #log: Log;
  readonly #sides: Record<Side, boolean> = { NRI: false, kubelet: false };
  #ready = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Whether both know it now. */
  get isReady(): boolean {
    return this.#ready;
  }

  set(side: Side, state: boolean): void {
    this.#sides[side] = state;
    const ready = Object.values(this.#sides).every((known) => known);
    if (ready && !this.#ready) this.#log.info("ready");
    this.#ready = ready;
  }

  checks(): Check[] {
    return (Object.keys(KNOWN) as Side[]).map((name) => {
      const ok = this.#sides[name];
      return { name, ok, says: ok ? KNOWN[name] : `not ${KNOWN[name]}` };
    });
  }
}
