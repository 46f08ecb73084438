/** The dashboard for Grafana that the chart brings (`deno task dashboard`). */

const FILE = new URL("../helm/network-dra/files/dashboard.json", import.meta.url).pathname;

/** Grafana puts the chosen nodes in. */
const NODES = 'node=~"$node"';
const DATASOURCE = { type: "prometheus", uid: "${datasource}" };
/** Grafana's grid is this wide. */
const GRID_WIDTH = 24;

interface Query {
  readonly expr: string;
  /** What the series is called, in Grafana's notation. */
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  readonly description: string;
  readonly kind: "stat" | "timeseries";
  /** As Grafana calls it. */
  readonly unit: "short" | "s" | "ops" | "bytes";
  readonly width: number;
  readonly queries: readonly Query[];
}

interface Row {
  readonly title: string;
  readonly height: number;
  readonly panels: readonly Panel[];
}

const ROWS: readonly Row[] = [
  {
    title: "Now",
    height: 4,
    panels: [
      stat("Agents ready", "Agents that have all that they need", [
        { expr: `sum(network_dra_ready{${NODES}})`, legend: "ready" },
      ]),
      stat("Agents not ready", "Agents that lack something: their logs say what", [
        { expr: `sum(1 - network_dra_ready{${NODES}})`, legend: "not ready" },
      ]),
      stat("Networks attached", "Attached networks of pods", [
        { expr: `sum(network_dra_attachments{state="attached", ${NODES}})`, legend: "attached" },
      ]),
      stat("Networks that fail", "Networks that cannot be attached or detached, or are lost", [
        {
          expr: `sum(network_dra_attachments{state=~"attach_failed|detach_failed|lost", ${NODES}})`,
          legend: "failing",
        },
      ]),
      stat("Devices published", "Devices of the nodes in ResourceSlices", [
        { expr: `sum by (state) (network_dra_devices{${NODES}})`, legend: "{{state}}" },
      ]),
      stat("Versions", "Agents by version", [
        { expr: `count by (version) (network_dra_build_info{${NODES}})`, legend: "{{version}}" },
      ]),
    ],
  },
  {
    title: "Networks",
    height: 8,
    panels: [
      series("Networks by state", "Networks of the pods on the nodes", "short", [
        { expr: `sum by (state) (network_dra_attachments{${NODES}})`, legend: "{{state}}" },
      ]),
      series("Failing networks by node", "Where networks fail or are lost", "short", [
        {
          expr:
            `sum by (node, state) (network_dra_attachments{state=~"attach_failed|detach_failed|lost", ${NODES}}) > 0`,
          legend: "{{node}} {{state}}",
        },
      ]),
      series("Errors of CNI plugins", "Operations that failed", "ops", [
        {
          expr: `sum by (plugin, command) (${
            rate("network_dra_cni_operations_total", 'result="error"')
          })`,
          legend: "{{plugin}} {{command}}",
        },
      ]),
      series("Checks and repairs", "What CNI CHECK found, and attempts to attach again", "ops", [
        {
          expr: `sum by (result) (${rate("network_dra_checks_total")})`,
          legend: "check {{result}}",
        },
        {
          expr: `sum by (result) (${rate("network_dra_repairs_total")})`,
          legend: "repair {{result}}",
        },
      ]),
    ],
  },
  {
    title: "How long it takes",
    height: 8,
    panels: [
      series("ADD by plugin", "Half of the ADDs, and 99 of 100, take at most this long", "s", [
        ...quantiles("network_dra_cni_operation_duration_seconds", "plugin", 'command="ADD"'),
      ]),
      series("Containers wait for networks", "By what became of it", "s", [
        ...quantiles("network_dra_gate_wait_seconds", "outcome"),
      ]),
      series("Prepare by phase", "What the kubelet waits for before a pod's sandbox is made", "s", [
        ...quantiles("network_dra_prepare_duration_seconds", "phase"),
      ]),
      series("Answers to the container runtime", "By event of NRI", "s", [
        ...quantiles("network_dra_nri_hook_duration_seconds", "event"),
      ]),
    ],
  },
  {
    title: "Agents",
    height: 8,
    panels: [
      series("Claims prepared and unprepared", "Requests of the kubelet", "ops", [
        {
          expr: `sum by (result) (${rate("network_dra_claim_prepares_total")})`,
          legend: "prepare {{result}}",
        },
        {
          expr: `sum by (result) (${rate("network_dra_claim_unprepares_total")})`,
          legend: "unprepare {{result}}",
        },
      ]),
      series("Writes of claims' status", "Requests to the API server", "ops", [
        {
          expr: `sum by (result) (${rate("network_dra_status_writes_total")})`,
          legend: "{{result}}",
        },
      ]),
      series("Not connected", "Agents without the container runtime or the kubelet", "short", [
        { expr: `sum by (side) (1 - network_dra_connected{${NODES}})`, legend: "{{side}}" },
      ]),
      series("Memory", "Of the agents' processes", "bytes", [
        { expr: `max(process_resident_memory_bytes{job="network-dra", ${NODES}})`, legend: "most" },
        { expr: `avg(process_resident_memory_bytes{job="network-dra", ${NODES}})`, legend: "mean" },
      ]),
    ],
  },
];

function stat(title: string, description: string, queries: readonly Query[]): Panel {
  return { title, description, kind: "stat", unit: "short", width: 4, queries };
}

function series(
  title: string,
  description: string,
  unit: Panel["unit"],
  queries: readonly Query[],
): Panel {
  return { title, description, kind: "timeseries", unit, width: 6, queries };
}

function rate(metric: string, ...selectors: readonly string[]): string {
  return `rate(${metric}{${[...selectors, NODES].join(", ")}}[$__rate_interval])`;
}

/** The median and the 99th percentile of a histogram, by one label. */
function quantiles(histogram: string, label: string, ...selectors: readonly string[]): Query[] {
  const buckets = rate(`${histogram}_bucket`, ...selectors);
  return [0.5, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (${label}, le) (${buckets}))`,
    legend: `{{${label}}} p${quantile * 100}`,
  }));
}

/** The expressions of all panels. */
export function expressions(): string[] {
  return ROWS.flatMap(({ panels }) => panels).flatMap(({ queries }) =>
    queries.map(({ expr }) => expr)
  );
}

/** The dashboard as it must stand in the file. */
export function dashboard(): string {
  let y = 0;
  let id = 0;
  const panels = ROWS.flatMap(({ title, height, panels }) => {
    const row = {
      id: ++id,
      type: "row",
      title,
      collapsed: false,
      gridPos: { x: 0, y: y++, w: GRID_WIDTH, h: 1 },
      panels: [],
    };
    let x = 0;
    const placed = panels.map(({ kind, title, description, unit, width, queries }) => {
      const gridPos = { x, y, w: width, h: height };
      x += width;
      return {
        id: ++id,
        type: kind,
        title,
        description,
        datasource: DATASOURCE,
        gridPos,
        fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
        options: kind === "stat"
          ? { reduceOptions: { calcs: ["lastNotNull"] }, colorMode: "none" }
          : { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
        targets: queries.map(({ expr, legend }, i) => ({
          refId: String.fromCharCode("A".charCodeAt(0) + i),
          datasource: DATASOURCE,
          expr,
          legendFormat: legend,
        })),
      };
    });
    y += height;
    return [row, ...placed];
  });
  const board = {
    uid: "network-dra",
    title: "network-dra",
    description: "Networks of pods that are claimed with network-dra",
    tags: ["kubernetes", "network"],
    schemaVersion: 39,
    editable: true,
    refresh: "1m",
    time: { from: "now-6h", to: "now" },
    templating: {
      list: [
        { name: "datasource", type: "datasource", label: "Data source", query: "prometheus" },
        {
          name: "node",
          type: "query",
          label: "Node",
          datasource: DATASOURCE,
          query: "label_values(network_dra_ready, node)",
          refresh: 2,
          includeAll: true,
          multi: true,
          allValue: ".*",
          current: { text: "All", value: "$__all" },
        },
      ],
    },
    panels,
  };
  return `${JSON.stringify(board, undefined, 2)}\n`;
}

if (import.meta.main) {
  await Deno.writeTextFile(FILE, dashboard());
  console.log(`wrote ${FILE}`);
}
