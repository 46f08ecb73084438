import { createHash } from "node:crypto";
import type { Log, PodStep, Traces } from "../agent/ports.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import type { EndedStep, OtlpOptions, StepExporter } from "./otlp.ts";

/** Traces that are off. */
export const NO_TRACES: Traces = { idOf: () => undefined, ended() {} };

/** Steps that wait for the library to be loaded; beyond it they are dropped. */
const MOST_EARLY = 512;
/** The agent's end waits for the last steps to be sent no longer than this, in milliseconds. */
const CLOSE_LIMIT_MS = 2_000;

/**
 * The trace of a pod: its UID, whose 32 digits are a trace id. So every agent and every restart has the
 * same one, and whoever knows the pod finds the trace.
 */
export function traceId(podUid: string): string {
  const digits = podUid.replaceAll("-", "").toLowerCase();
  if (/^[0-9a-f]{32}$/.test(digits) && !/^0+$/.test(digits)) return digits;
  return createHash("sha256").update(podUid).digest("hex").slice(0, 32);
}

/**
 * Sends the steps of pods to an OpenTelemetry collector. The library is loaded here alone: an agent
 * without traces is smaller by it.
 */
export class PodTraces implements Traces {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #loaded: Promise<void>;
  #state:
    | { readonly kind: "loads"; readonly steps: EndedStep[] }
    | { readonly kind: "sends"; readonly exporter: StepExporter }
    | { readonly kind: "failed" } = { kind: "loads", steps: [] };

  constructor(options: OtlpOptions & { readonly clock: Clock }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#loaded = this.#load(options);
  }

  idOf(podUid: string): string {
    return traceId(podUid);
  }

  ended(step: PodStep): void {
    const ended = { ...step, end: this.#clock.now().getTime(), traceId: traceId(step.pod.uid) };
    if (this.#state.kind === "sends") this.#state.exporter.send(ended);
    else if (this.#state.kind === "loads" && this.#state.steps.length < MOST_EARLY) {
      this.#state.steps.push(ended);
    }
  }

  /** Sends what is left, if the collector takes it soon. */
  async close(): Promise<void> {
    await this.#loaded;
    if (this.#state.kind !== "sends") return;
    const done = new AbortController();
    const limit = this.#clock.sleep(CLOSE_LIMIT_MS, done.signal).catch(() => {});
    await Promise.race([this.#state.exporter.close(), limit]);
    done.abort();
  }

  async #load(options: OtlpOptions): Promise<void> {
    try {
      const { otlpExporter } = await import("./otlp.ts");
      const exporter = otlpExporter(options);
      const early = this.#state.kind === "loads" ? this.#state.steps : [];
      this.#state = { kind: "sends", exporter };
      for (const step of early) exporter.send(step);
    } catch (error) {
      this.#state = { kind: "failed" };
      this.#log.warn("cannot send traces", { error: errorMessage(error) });
    }
  }
}
