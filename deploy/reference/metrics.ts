import { PrometheusMetrics } from "../../mod/observe/metrics.ts";
import { code, codes, origin, table } from "./markdown.ts";

/** A metric as a new agent shows it. */
export interface Metric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** The values of each label that are there from the start. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Stand for every CNI plugin on the node, and for every version of the agent. */
const PLUGIN = "PLUGIN";
const VERSION = "VERSION";

/** All metrics of the agent. */
export async function allMetrics(): Promise<Metric[]> {
  return read(await new PrometheusMetrics({ plugins: [PLUGIN], version: VERSION }).text());
}

/** docs/reference/metrics.md */
export async function metricsPage(): Promise<string> {
  const rows = (await allMetrics()).map(({ name, type, help, labels }) => [
    code(name),
    type,
    [...labels].map(([label, values]) =>
      values.has(PLUGIN) || values.has(VERSION) ? code(label) : `${code(label)}: ${codes(values)}`
    ).join("; "),
    help,
  ]);
  return `# Health and metrics

${origin("the metrics that a new agent shows")}

\`--listen\` (by default \`127.0.0.1:9177\`, on the node) serves three paths:

${
    table(["path", "what"], [
      ["`/healthz`", "200 while the process answers and its loops run"],
      [
        "`/readyz`",
        "200 when the agent has everything that it needs; otherwise 503, with each thing that it lacks, for how long, and what to do",
      ],
      ["`/metrics`", "the metrics below, for Prometheus"],
    ])
  }

With \`--metrics-secure HOST:PORT\`, metrics are served there alone, by HTTPS, to those whom the API
server lets get \`/metrics\`: [Monitor](../how-to/monitor.md#let-only-prometheus-read-the-metrics).

The agent needs the container runtime's NRI socket, the kubelet, the API server, CNI plugins and the
CDI folder. The log lists what is missing: at once, after 30 seconds, and then every 5 minutes. The
command \`network-dra ready\` prints the same list.

Every series is exported from startup, initially with the value 0 (\`network_dra_build_info\`: always
1); series of CNI plugins exist for each program in \`--cni-path\`. Plugins that are not on the node get
no series, whatever claims name. [Monitor](../how-to/monitor.md) has alerts and a dashboard.

${table(["metric", "type", "labels", "what"], rows)}
`;
}

/** Prometheus' text format, as far as prom-client writes it. */
function read(text: string): Metric[] {
  return text.split(/^(?=# HELP )/m).filter((part) => part.startsWith("# HELP ")).map((part) => {
    const [, name, help] = part.match(/^# HELP (\S+) (.*)$/m)!;
    const labels = new Map<string, Set<string>>();
    for (const [, label, value] of part.matchAll(/(\w+)="([^"]*)"/g)) {
      if (label === "le") continue;
      labels.set(label!, (labels.get(label!) ?? new Set()).add(value!));
    }
    return { name: name!, help: help!, type: part.match(/^# TYPE \S+ (\S+)$/m)![1]!, labels };
  });
}
