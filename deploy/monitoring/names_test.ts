/** What alerts, dashboard and documentation say of metrics is true of the agent's metrics. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { anchors, blocks, codeSpans, documents } from "../../tests/support/documents.ts";
import { allMetrics } from "../reference/metrics.ts";
import { dashboard, expressions } from "./dashboard.ts";

const FILES = new URL("../helm/network-dra/files/", import.meta.url);
const DOCUMENTS = await documents();
const METRICS = new Map((await allMetrics()).map((metric) => [metric.name, metric]));

/** Prometheus' own: whether it could read a target. */
const PROMETHEUS_OWN = ["up"];
/** What Prometheus or the PodMonitor adds to every series. */
const TARGET_LABELS = ["job", "node", "pod", "namespace", "instance", "le"];
/** All that our expressions use of PromQL. */
const WORDS = [
  ...["absent", "avg", "count", "histogram_quantile", "increase", "max", "rate", "sum"],
  ...["by", "without", "and"],
];
/** Values of labels that differ from node to node, or that Grafana puts in. */
const ANY_VALUE = ["plugin", "version"];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const { groups } = parse(await Deno.readTextFile(new URL("alerts.yaml", FILES))) as {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
};
const RULES = groups.flatMap(({ rules }) => rules);

/** The agent's metric that a series belongs to: a histogram has three kinds of series. */
function metricOf(series: string) {
  const [, base, kind] = series.match(/^(.*?)(_bucket|_sum|_count)?$/)!;
  const histogram = kind ? METRICS.get(base!) : undefined;
  return histogram?.type === "histogram" ? histogram : METRICS.get(series);
}

/** What is wrong with the names in an expression. */
function problems(expr: string): string[] {
  const found: string[] = [];
  for (const [, name, selector = ""] of expr.matchAll(/\b([a-z]\w*)(?:\{([^}]*)\})/g)) {
    const metric = metricOf(name!);
    for (const [, label, values] of selector.matchAll(/(\w+)=~?"([^"]*)"/g)) {
      if (TARGET_LABELS.includes(label!)) continue;
      const known = metric?.labels.get(label!);
      if (!known) found.push(`${name} has no label ${label}`);
      else if (!ANY_VALUE.includes(label!)) {
        found.push(
          ...values!.split("|").filter((value) => !known.has(value)).map((value) =>
            `${name}: ${label} is never ${value}`
          ),
        );
      }
    }
  }
  const labels = [...METRICS.values()].flatMap((metric) => [...metric.labels.keys()]);
  const grouped = [...expr.matchAll(/\b(?:by|without) \(([^)]*)\)/g)]
    .flatMap(([, names]) => names!.split(", "));
  found.push(
    ...grouped.filter((label) => ![...labels, ...TARGET_LABELS].includes(label)).map((label) =>
      `nothing has the label ${label}`
    ),
  );
  const names = expr.replaceAll(/\{[^}]*\}|\[[^\]]*\]|\b(by|without) \([^)]*\)/g, " ")
    .matchAll(/\b[a-z]\w*/g);
  for (const [name] of names) {
    const isKnown = WORDS.includes(name) || PROMETHEUS_OWN.includes(name) || metricOf(name);
    if (!isKnown) found.push(`there is no metric ${name}`);
  }
  return found;
}

Deno.test("problems() finds what is not ours", () => {
  assert.deepEqual(problems('rate(network_dra_attachment{state="lost"}[5m])'), [
    "network_dra_attachment has no label state",
    "there is no metric network_dra_attachment",
  ]);
  assert.deepEqual(problems('network_dra_attachments{state="gone"} > 0'), [
    "network_dra_attachments: state is never gone",
  ]);
  assert.deepEqual(problems("sum by (phases) (network_dra_prepare_duration_seconds_bucket)"), [
    "nothing has the label phases",
  ]);
  assert.deepEqual(problems("network_dra_ready_bucket"), [
    "there is no metric network_dra_ready_bucket",
  ]);
});

for (const { alert, expr, labels, annotations } of RULES) {
  Deno.test(`the alert ${alert} asks for metrics of ours, and leads to its runbook`, () => {
    assert.deepEqual(problems(expr), []);
    assert.match(alert, /^NetworkDRA[A-Z]/);
    assert.match(labels.severity!, /^(warning|critical)$/);
    assert.ok(annotations.summary && annotations.description);
    const page = DOCUMENTS.find(({ path }) => path === "docs/how-to/troubleshooting.md")!;
    const [place, anchor] = annotations.runbook_url!.split("#");
    assert.equal(place, "RUNBOOKS");
    assert.ok(anchors(page).has(anchor!), `troubleshooting.md has no heading #${anchor}`);
  });
}

Deno.test("every panel of the dashboard shows metrics of ours", () => {
  assert.deepEqual(expressions().flatMap(problems), []);
  assert.ok(expressions().length > 20);
});

Deno.test("the chart has the dashboard as the code says (deno task dashboard)", async () => {
  assert.equal(await Deno.readTextFile(new URL("dashboard.json", FILES)), dashboard());
});

Deno.test("metrics and alerts that the documentation names are there, and every alert is in it", () => {
  const alerts = new Set(RULES.map(({ alert }) => alert));
  const wrong: string[] = [];
  for (const document of DOCUMENTS) {
    if (document.path === "CHANGELOG.md") continue;
    const code = [...codeSpans(document), ...blocks(document).map(({ text }) => text)].join("\n");
    for (const [name] of code.matchAll(/\bnetwork_dra_\w+/g)) {
      if (!metricOf(name)) wrong.push(`${document.path}: ${name}`);
    }
    for (const [name] of code.matchAll(/\bNetworkDRA\w+/g)) {
      if (!alerts.has(name)) wrong.push(`${document.path}: ${name}`);
    }
    if (document.path === "docs/how-to/monitor.md") {
      wrong.push(...[...alerts].filter((alert) => !code.includes(alert)));
    }
  }
  assert.deepEqual(wrong, []);
});
