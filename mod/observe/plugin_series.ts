import { Counter, Histogram, type Registry } from "prom-client";

/** One command that one CNI plugin was run with. */
export interface PluginOperation {
  readonly plugin: string;
  readonly command: PluginCommand;
  readonly result: "ok" | "error";
  readonly seconds: number;
}

export type PluginCommand = "ADD" | "DEL" | "CHECK" | "GC" | "STATUS" | "VERSION";

const COMMANDS: readonly PluginCommand[] = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"];
/** The commands that a pod waits for, and that take their time. */
const TIMED: readonly PluginCommand[] = ["ADD", "DEL"];
/** A factor of three between them: there are many plugins, and each has these twice. */
const BUCKETS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30];

/** The operations of each CNI plugin. */
export class PluginSeries {
  readonly #operations: Counter<"plugin" | "command" | "result">;
  readonly #durations: Histogram<"plugin" | "command">;
  readonly #seeded = new Set<string>();

  constructor(registry: Registry) {
    this.#operations = new Counter({
      name: "network_dra_cni_operations_total",
      help: "CNI plugins run, by plugin, command and result",
      labelNames: ["plugin", "command", "result"],
      registers: [registry],
    });
    this.#durations = new Histogram({
      name: "network_dra_cni_operation_duration_seconds",
      help: "How long the ADDs and DELs of each plugin took, with its delegates",
      labelNames: ["plugin", "command"],
      buckets: BUCKETS,
      registers: [registry],
    });
  }

  /** Shows the plugin's series, at zero, if they are not there yet. */
  seed(plugin: string): void {
    if (this.#seeded.has(plugin)) return;
    this.#seeded.add(plugin);
    for (const command of COMMANDS) {
      for (const result of ["ok", "error"]) this.#operations.inc({ plugin, command, result }, 0);
    }
    for (const command of TIMED) this.#durations.zero({ plugin, command });
  }

  ran({ plugin, command, result, seconds }: PluginOperation): void {
    this.seed(plugin);
    this.#operations.inc({ plugin, command, result });
    if (TIMED.includes(command)) this.#durations.observe({ plugin, command }, seconds);
  }
}
