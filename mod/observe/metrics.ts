import { Gauge, Registry } from "prom-client";
import type {
  AgentCounts,
  CheckResult,
  ForgetCause,
  GateOutcome,
  PreparePhase,
  Result,
  StatusResult,
} from "../agent/model.ts";
import type { Metrics } from "../agent/ports.ts";
import { AddressSeries } from "./address_series.ts";
import { type PluginOperation, PluginSeries } from "./plugin_series.ts";
import { counters, durations, gauges } from "./series.ts";

/** The runtime's events that are handled. */
export type Hook =
  | "Synchronize"
  | "RunPodSandbox"
  | "StopPodSandbox"
  | "RemovePodSandbox"
  | "CreateContainer";

const HOOKS: readonly Hook[] = [
  "Synchronize",
  "RunPodSandbox",
  "StopPodSandbox",
  "RemovePodSandbox",
  "CreateContainer",
];
const RESULTS: readonly Result[] = ["ok", "error"];
/** Who must know the agent before it is of use. */
export type Side = "NRI" | "kubelet";

const SIDES: readonly Side[] = ["NRI", "kubelet"];
const STATUS_RESULTS: readonly StatusResult[] = ["applied", "gone", "failed", "refused"];
/** A hook answers at once, and CreateContainer when the networks are there. */
const HOOK_BUCKETS = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3];
const GATE_BUCKETS = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
/** The kubelet waits for 45 s at most. */
const PREPARE_BUCKETS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30];

/** Counts in memory what the agent does; read as text by Prometheus. */
export class PrometheusMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #registers = [this.#registry];
  readonly #known = new Set<Side>();
  #counts: (() => AgentCounts | undefined) | undefined;
  #isReady: (() => boolean) | undefined;

  readonly #plugins: PluginSeries;
  /** What becomes of addresses. */
  readonly addresses = new AddressSeries(this.#registry);
  readonly #attachments = gauges({
    name: "network_dra_attachments",
    help: "Attachments of the sandboxes on this node, by state",
    label: "state",
    values: ["attaching", "attached", "lost", "attach_failed", "detaching", "detach_failed"],
    registers: this.#registers,
  });
  readonly #leads = new Gauge({
    name: "network_dra_leads",
    help:
      "1 while this agent leads, 0 while it stands by for another agent on the node (rolling update)",
    registers: this.#registers,
  });
  readonly #ready = new Gauge({
    name: "network_dra_ready",
    help: "1 while the agent has all that it needs (as /readyz), 0 while it lacks something",
    registers: this.#registers,
  });
  readonly #records = gauges({
    name: "network_dra_journal_records",
    help: "Records in the journal, by kind",
    label: "kind",
    values: ["claim", "attachment"],
    registers: this.#registers,
  });
  readonly #devices = gauges({
    name: "network_dra_devices",
    help: "Devices that are published for this node, by the state of their interface",
    label: "state",
    values: ["up", "down"],
    registers: this.#registers,
  });
  readonly #prepares = counters({
    name: "network_dra_claim_prepares_total",
    help: "Claims that the kubelet asked to prepare, by result",
    label: "result",
    values: RESULTS,
    registers: this.#registers,
  });
  readonly #unprepares = counters({
    name: "network_dra_claim_unprepares_total",
    help: "Claims that the kubelet asked to unprepare, by result",
    label: "result",
    values: RESULTS,
    registers: this.#registers,
  });
  readonly #prepareTimes = durations({
    name: "network_dra_prepare_duration_seconds",
    help:
      "How long the kubelet waited for a pod's claims to be prepared, by phase; plan: claims are " +
      "read from the API server and checked; pods: it is learned which claims the pods share; " +
      "record: it is put on record what to attach",
    label: "phase",
    values: ["plan", "pods", "record"],
    buckets: PREPARE_BUCKETS,
    registers: this.#registers,
  });
  readonly #gates = durations({
    name: "network_dra_gate_wait_seconds",
    help: "How long containers of pods with networks waited for them, by outcome",
    label: "outcome",
    values: ["opened", "refused", "timeout"],
    buckets: GATE_BUCKETS,
    registers: this.#registers,
  });
  readonly #hooks = durations({
    name: "network_dra_nri_hook_duration_seconds",
    help: "How long the container runtime waited for an answer, by event",
    label: "event",
    values: HOOKS,
    buckets: HOOK_BUCKETS,
    registers: this.#registers,
  });
  readonly #connected = gauges({
    name: "network_dra_connected",
    help: "1 while the container runtime (NRI) or the kubelet is connected to the agent",
    label: "side",
    values: SIDES,
    registers: this.#registers,
  });
  readonly #reconnects = counters({
    name: "network_dra_reconnects_total",
    help: "Reconnections of the container runtime (NRI) or the kubelet",
    label: "side",
    values: SIDES,
    registers: this.#registers,
  });
  readonly #statusWrites = counters({
    name: "network_dra_status_writes_total",
    help:
      "Writes of a claim's status, retries included, by result; refused: the API server finds it " +
      "invalid",
    label: "result",
    values: STATUS_RESULTS,
    registers: this.#registers,
  });
  readonly #statusRetries = counters({
    name: "network_dra_status_write_retries_total",
    help: "Retried writes of a claim's status, by result",
    label: "result",
    values: STATUS_RESULTS,
    registers: this.#registers,
  });

  readonly #checks = counters({
    name: "network_dra_checks_total",
    help: "CNI CHECKs of attachments, by result; unknown: the plugin could not tell",
    label: "result",
    values: ["intact", "lost", "unknown"],
    registers: this.#registers,
  });
  readonly #repairs = counters({
    name: "network_dra_repairs_total",
    help: "Attempts to attach a lost network again, by result",
    label: "result",
    values: RESULTS,
    registers: this.#registers,
  });
  readonly #collections = counters({
    name: "network_dra_garbage_collections_total",
    help: "CNI GCs of a network, by result",
    label: "result",
    values: RESULTS,
    registers: this.#registers,
  });
  readonly #forgotten = counters({
    name: "network_dra_forgotten_total",
    help: "Claims and attachments that were forgotten, by cause",
    label: "cause",
    values: ["claim_gone", "plugin_missing", "never_attached", "asked"],
    registers: this.#registers,
  });

  /**
   * @param options.plugins the types of the CNI plugins on the node: their series are there from the start
   * @param options.version the agent's
   */
  constructor(
    { plugins = [], version = "unknown" }: {
      readonly plugins?: readonly string[];
      readonly version?: string;
    } = {},
  ) {
    this.#plugins = new PluginSeries(this.#registry);
    for (const plugin of plugins) this.#plugins.seed(plugin);
    const registers = this.#registers;
    new Gauge({
      name: "network_dra_build_info",
      help: "Always 1; the label is the agent's version",
      labelNames: ["version"],
      registers,
    }).set({ version }, 1);
    new Gauge({
      name: "process_resident_memory_bytes",
      help: "Resident memory size in bytes",
      registers,
      collect() {
        this.set(Deno.memoryUsage().rss);
      },
    });
    new Gauge({
      name: "process_start_time_seconds",
      help: "Start time of the process since unix epoch in seconds",
      registers,
    }).set(performance.timeOrigin / 1000);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Where the numbers come from that are asked for rather than counted; undefined while another agent leads. */
  countsFrom(counts: () => AgentCounts | undefined): void {
    this.#counts = counts;
  }

  /** Whether the agent has all that it needs, when it is asked. */
  readyWhen(isReady: () => boolean): void {
    this.#isReady = isReady;
  }

  prepared(result: Result): void {
    this.#prepares[result]();
  }

  unprepared(result: Result): void {
    this.#unprepares[result]();
  }

  prepareTook(phase: PreparePhase, seconds: number): void {
    this.#prepareTimes[phase](seconds);
  }

  gateWaited(outcome: GateOutcome, seconds: number): void {
    this.#gates[outcome](seconds);
  }

  statusWritten(result: StatusResult, attempt: "first" | "retry"): void {
    this.#statusWrites[result]();
    if (attempt === "retry") this.#statusRetries[result]();
  }

  checked(result: CheckResult): void {
    this.#checks[result]();
  }

  repaired(result: Result): void {
    this.#repairs[result]();
  }

  collected(result: Result): void {
    this.#collections[result]();
  }

  forgotten(why: ForgetCause): void {
    this.#forgotten[why]();
  }

  devicesPublished({ up, down }: Readonly<Record<"up" | "down", number>>): void {
    this.#devices.up(up);
    this.#devices.down(down);
  }

  pluginRan(operation: PluginOperation): void {
    this.#plugins.ran(operation);
  }

  hookHandled(hook: Hook, seconds: number): void {
    this.#hooks[hook](seconds);
  }

  /** Told each time that a side came to know the agent, and each time that it no longer does. */
  connected(side: Side, state: boolean): void {
    this.#connected[side](state ? 1 : 0);
    if (!state) return;
    if (this.#known.has(side)) this.#reconnects[side]();
    this.#known.add(side);
  }

  /** All series in Prometheus' text format. */
  async text(): Promise<string> {
    const counts = this.#counts?.();
    setAll(this.#attachments, counts?.attachments);
    setAll(this.#records, counts?.records);
    this.#leads.set(counts ? 1 : 0);
    this.#ready.set(this.#isReady?.() ? 1 : 0);
    return await this.#registry.metrics();
  }
}

function setAll<V extends string>(
  gauge: Readonly<Record<V, (number: number) => void>>,
  numbers: Readonly<Record<V, number>> | undefined,
): void {
  for (const value of Object.keys(gauge) as V[]) gauge[value](numbers?.[value] ?? 0);
}
