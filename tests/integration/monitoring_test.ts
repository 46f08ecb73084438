/** What the chart has for Prometheus and Grafana: rendered as helm does it, its rules run by promtool. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { dashboard, expressions } from "../../deploy/monitoring/dashboard.ts";
import { agentPod, configFile, configOf, only, readObjects } from "../support/deployment.ts";
import { fetchHelmRender, renderChart } from "../support/helm_render.ts";
import { fetchPromtool, promtool } from "../support/promtool.ts";

const TESTS = new URL("alerts/tests.yaml", import.meta.url).pathname;
const RULES = new URL("../../deploy/helm/network-dra/files/alerts.yaml", import.meta.url).pathname;

interface Found {
  readonly path: string;
}

const progress = (line: string) => console.error(line);
const helm = await fetchHelmRender({ progress });
const prometheus = await fetchPromtool({ progress });

function testWith(
  found: Found | { readonly missing: string },
  name: string,
  body: (program: string) => Promise<void>,
) {
  const missing = "missing" in found ? found.missing : undefined;
  Deno.test({
    name: missing === undefined ? name : `${name} (not run: ${missing})`,
    ignore: missing !== undefined,
    fn: () => body((found as Found).path),
  });
}

/** All of it, with labels by which others select. */
const ALL = {
  listen: "0.0.0.0:9200",
  monitoring: {
    podMonitor: { enabled: true, labels: { release: "prometheus" }, interval: "15s" },
    prometheusRule: {
      enabled: true,
      labels: { release: "prometheus" },
      runbooks: "https://docs.example/troubleshooting.html",
    },
    dashboard: { enabled: true, labels: { team: "net" } },
  },
};

testWith(
  helm,
  "the chart lets Prometheus find the agents, which declare no port",
  async (program) => {
    const objects = readObjects(await renderChart(program, ALL));
    const { metadata, spec } = only(objects, "PodMonitor") as unknown as {
      metadata: { labels: Record<string, string> };
      spec: {
        selector: unknown;
        jobLabel: string;
        podMetricsEndpoints: {
          interval: string;
          relabelings: { targetLabel?: string; regex?: string; replacement?: string }[];
        }[];
      };
    };
    assert.equal(metadata.labels.release, "prometheus");
    assert.deepEqual(spec.selector, {
      matchLabels: {
        "app.kubernetes.io/name": "network-dra",
        "app.kubernetes.io/instance": "network-dra",
      },
    });
    assert.equal(spec.jobLabel, "app.kubernetes.io/name");
    const [endpoint, ...others] = spec.podMetricsEndpoints;
    assert.ok(endpoint && others.length === 0);
    assert.equal(endpoint.interval, "15s");
    const address = (ip: string) => {
      const rules = endpoint.relabelings.filter(({ targetLabel }) => targetLabel === "__address__");
      const fitting = rules.filter(({ regex }) => new RegExp(`^(?:${regex})$`).test(ip));
      assert.equal(fitting.length, 1, ip);
      return ip.replace(new RegExp(`^(?:${fitting[0]!.regex})$`), fitting[0]!.replacement!);
    };
    assert.equal(address("10.0.0.7"), "10.0.0.7:9200");
    assert.equal(address("fd00::7"), "[fd00::7]:9200");
    assert.doesNotMatch(JSON.stringify(only(objects, "DaemonSet")), /containerPort|hostPort/);
  },
);

testWith(
  helm,
  "metricsSecure: the agents may ask who may, and Prometheus has a token",
  async (program) => {
    const values = {
      metricsSecure: { enabled: true },
      monitoring: { podMonitor: { enabled: true } },
    };
    const objects = readObjects(await renderChart(program, values));
    const named = (name: string) =>
      objects.filter(({ metadata }) => metadata.name === name).map(({ kind }) => kind).toSorted();
    assert.deepEqual(named("network-dra-metrics-reader"), [
      "ClusterRole",
      "ClusterRoleBinding",
      "Secret",
      "ServiceAccount",
    ]);
    const role = (name: string) =>
      objects.find(({ kind, metadata }) =>
        kind === "ClusterRole" && metadata.name === name
      ) as unknown as { rules: unknown[] };
    assert.deepEqual(role("network-dra-metrics-reader").rules, [
      { nonResourceURLs: ["/metrics"], verbs: ["get"] },
    ]);
    assert.deepEqual(role("network-dra").rules.slice(-2), [
      { apiGroups: ["authentication.k8s.io"], resources: ["tokenreviews"], verbs: ["create"] },
      {
        apiGroups: ["authorization.k8s.io"],
        resources: ["subjectaccessreviews"],
        verbs: ["create"],
      },
    ]);
    const { spec } = only(objects, "PodMonitor") as unknown as {
      spec: { podMetricsEndpoints: Record<string, unknown>[] };
    };
    const { scheme, authorization, relabelings } = spec.podMetricsEndpoints[0]!;
    assert.equal(scheme, "https");
    assert.deepEqual(authorization, {
      credentials: { name: "network-dra-metrics-reader", key: "token" },
    });
    assert.match(JSON.stringify(relabelings), /"\$1:9178"/);
    const yaml = await renderChart(program, {
      metricsSecure: { enabled: true, listen: "[::]:9443", certificateSecret: "tls" },
      monitoring: { podMonitor: { enabled: true, tokenSecret: "mine" } },
    });
    const { pod, agent } = agentPod(yaml);
    const { metricsSecure, metricsCert, metricsKey } = configOf(agent.args, configFile(yaml));
    assert.deepEqual({ metricsSecure, metricsCert, metricsKey }, {
      metricsSecure: { hostname: "::", port: 9443 },
      metricsCert: "/etc/network-dra-tls/tls.crt",
      metricsKey: "/etc/network-dra-tls/tls.key",
    });
    assert.deepEqual(agent.volumeMounts.at(-1), {
      name: "certificate",
      mountPath: "/etc/network-dra-tls",
      readOnly: true,
    });
    assert.deepEqual(pod.volumes.at(-1), { name: "certificate", secret: { secretName: "tls" } });
    assert.ok(readObjects(yaml).every(({ kind }) => kind !== "Secret"));
  },
);

testWith(helm, "the chart's alerts link to where the runbooks are", async (program) => {
  const objects = readObjects(await renderChart(program, ALL));
  const { metadata, spec } = only(objects, "PrometheusRule") as unknown as {
    metadata: { labels: Record<string, string> };
    spec: { groups: { rules: { annotations: Record<string, string> }[] }[] };
  };
  assert.equal(metadata.labels.release, "prometheus");
  const given = parse(
    (await Deno.readTextFile(RULES)).replaceAll(
      "RUNBOOKS",
      ALL.monitoring.prometheusRule.runbooks,
    ),
  );
  assert.deepEqual(spec, given);
  for (const { annotations } of spec.groups.flatMap(({ rules }) => rules)) {
    assert.match(annotations.runbook_url!, /^https:\/\/docs\.example\/troubleshooting\.html#\w/);
  }
});

testWith(helm, "the chart has the dashboard where Grafana's sidecar looks", async (program) => {
  const objects = readObjects(await renderChart(program, ALL));
  const config = objects.find(({ metadata }) => metadata.name === "network-dra-dashboard");
  const { metadata, data } = config as unknown as {
    metadata: { labels: Record<string, string> };
    data: Record<string, string>;
  };
  assert.deepEqual([metadata.labels.grafana_dashboard, metadata.labels.team], ["1", "net"]);
  assert.deepEqual(JSON.parse(data["network-dra.json"]!), JSON.parse(dashboard()));
});

testWith(helm, "the chart refuses what cannot work, and says why", async (program) => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [
      { monitoring: { podMonitor: { enabled: true } } },
      /Prometheus cannot reach 127\.0\.0\.1:9177 from outside the node: set metricsSecure\.enabled/,
    ],
    [
      {
        metricsSecure: { enabled: true, listen: "127.0.0.1:9178" },
        monitoring: { podMonitor: { enabled: true } },
      },
      /Prometheus cannot reach 127\.0\.0\.1:9178/,
    ],
    [{ metricsSecure: { listen: ":9178" } }, /'\/metricsSecure\/listen'/],
    [{ config: { metricsCert: "/c" } }, /config\.metricsCert.*set the value metricsSecure/],
    [{ monitoring: { podMonitor: { interval: "soon" } } }, /'\/monitoring\/podMonitor\/interval'/],
    [{ monitoring: { alerts: {} } }, /'\/monitoring'.*'alerts' not allowed/],
    [{ monitoring: { dashboard: { labels: { a: 1 } } } }, /'\/monitoring\/dashboard\/labels\/a'/],
    [{ monitoring: { prometheusRule: { runbooks: "x#y" } } }, /'\/monitoring\/prometheusRule\/run/],
  ];
  for (const [values, message] of wrong) {
    await assert.rejects(renderChart(program, values), { message }, JSON.stringify(values));
  }
});

testWith(prometheus, "every alert fires when it must, and not before", async (program) => {
  const folder = await Deno.makeTempDir();
  try {
    const rules = (await Deno.readTextFile(RULES)).replaceAll(
      "RUNBOOKS",
      "docs/troubleshooting.md",
    );
    await Deno.writeTextFile(join(folder, "alerts.yaml"), rules);
    await Deno.copyFile(TESTS, join(folder, "tests.yaml"));
    await promtool(program, "check", "rules", join(folder, "alerts.yaml"));
    await promtool(program, "test", "rules", join(folder, "tests.yaml"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("every alert has a test in which it fires and one in which it does not", async () => {
  const { groups } = parse(await Deno.readTextFile(RULES)) as {
    groups: { rules: { alert: string }[] }[];
  };
  const { tests } = parse(await Deno.readTextFile(TESTS)) as {
    tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[];
  };
  const cases = tests.flatMap((test) => test.alert_rule_test);
  for (const { alert } of groups.flatMap(({ rules }) => rules)) {
    const counts = cases.filter(({ alertname }) => alertname === alert)
      .map(({ exp_alerts }) => exp_alerts.length);
    assert.ok(counts.some((count) => count > 0), `${alert} fires in no test`);
    assert.ok(counts.some((count) => count === 0), `${alert} is silent in no test`);
  }
});

testWith(prometheus, "Prometheus can read every expression of the dashboard", async (program) => {
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    const rules = expressions().map((expr, i) => ({
      record: `dashboard:${i}`,
      expr: expr.replaceAll("$node", ".*").replaceAll("$__rate_interval", "5m"),
    }));
    await Deno.writeTextFile(file, stringify({ groups: [{ name: "dashboard", rules }] }));
    await promtool(program, "check", "rules", file);
  } finally {
    await Deno.remove(file);
  }
});
