import assert from "node:assert/strict";
import { PrometheusMetrics } from "./metrics.ts";

/** The samples by series. */
async function samples(metrics: PrometheusMetrics): Promise<Map<string, number>> {
  const lines = (await metrics.text()).split("\n").filter((line) => line && !line.startsWith("#"));
  return new Map(lines.map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at), Number(line.slice(at + 1))];
  }));
}

/** The series that differ, without the buckets, the sums and the process's own. */
function changed(before: Map<string, number>, after: Map<string, number>): Record<string, number> {
  return Object.fromEntries(
    [...after].filter(([series, value]) =>
      value !== before.get(series) && !/_bucket|_sum|^process_/.test(series)
    ),
  );
}

Deno.test("every series is there from the start, at zero", async () => {
  const metrics = new PrometheusMetrics({ plugins: ["macvlan"], version: "1.2.3" });
  const before = await samples(metrics);
  assert.equal(before.get('network_dra_build_info{version="1.2.3"}'), 1);
  const { process_resident_memory_bytes: memory, process_start_time_seconds: start, ...others } =
    Object.fromEntries(before);
  assert.ok(memory! > 1_000_000);
  assert.ok(Math.abs(start! - Date.now() / 1000) < 3600);
  assert.deepEqual(Object.entries(others).filter(([, value]) => value !== 0), [
    ['network_dra_build_info{version="1.2.3"}', 1],
  ]);

  metrics.prepared("ok");
  metrics.unprepared("error");
  metrics.prepareTook("pods", 0.2);
  metrics.gateWaited("timeout", 1);
  metrics.statusWritten("applied", "first");
  metrics.statusWritten("failed", "retry");
  metrics.checked("unknown");
  metrics.repaired("ok");
  metrics.collected("error");
  metrics.forgotten("plugin_missing");
  metrics.devicesPublished({ up: 3, down: 1 });
  metrics.pluginRan({ plugin: "macvlan", command: "ADD", result: "ok", seconds: 0.02 });
  metrics.pluginRan({ plugin: "macvlan", command: "VERSION", result: "error", seconds: 0.02 });
  metrics.hookHandled("RunPodSandbox", 0.0001);
  metrics.addresses.taken("exhausted");
  metrics.addresses.conflicted();
  metrics.addresses.held(7);
  metrics.addresses.requested("create");
  metrics.connected("NRI", true);
  metrics.countsFrom(() => ({
    attachments: {
      attaching: 1,
      attached: 2,
      lost: 8,
      attach_failed: 3,
      detaching: 4,
      detach_failed: 5,
    },
    records: { claim: 6, attachment: 7 },
  }));
  metrics.readyWhen(() => true);
  const after = await samples(metrics);
  assert.deepEqual([...after.keys()].toSorted(), [...before.keys()].toSorted());
  assert.deepEqual(changed(before, after), {
    'network_dra_attachments{state="attaching"}': 1,
    'network_dra_attachments{state="attached"}': 2,
    'network_dra_attachments{state="lost"}': 8,
    'network_dra_attachments{state="attach_failed"}': 3,
    'network_dra_attachments{state="detaching"}': 4,
    'network_dra_attachments{state="detach_failed"}': 5,
    network_dra_leads: 1,
    network_dra_ready: 1,
    'network_dra_journal_records{kind="claim"}': 6,
    'network_dra_journal_records{kind="attachment"}': 7,
    'network_dra_devices{state="up"}': 3,
    'network_dra_devices{state="down"}': 1,
    'network_dra_claim_prepares_total{result="ok"}': 1,
    'network_dra_claim_unprepares_total{result="error"}': 1,
    'network_dra_prepare_duration_seconds_count{phase="pods"}': 1,
    'network_dra_gate_wait_seconds_count{outcome="timeout"}': 1,
    'network_dra_nri_hook_duration_seconds_count{event="RunPodSandbox"}': 1,
    'network_dra_connected{side="NRI"}': 1,
    'network_dra_status_writes_total{result="applied"}': 1,
    'network_dra_status_writes_total{result="failed"}': 1,
    'network_dra_status_write_retries_total{result="failed"}': 1,
    'network_dra_checks_total{result="unknown"}': 1,
    'network_dra_repairs_total{result="ok"}': 1,
    'network_dra_garbage_collections_total{result="error"}': 1,
    'network_dra_forgotten_total{cause="plugin_missing"}': 1,
    'network_dra_address_takes_total{result="exhausted"}': 1,
    "network_dra_address_conflicts_total": 1,
    "network_dra_addresses": 7,
    'network_dra_address_requests_total{verb="create"}': 1,
    'network_dra_cni_operations_total{plugin="macvlan",command="ADD",result="ok"}': 1,
    'network_dra_cni_operations_total{plugin="macvlan",command="VERSION",result="error"}': 1,
    'network_dra_cni_operation_duration_seconds_count{plugin="macvlan",command="ADD"}': 1,
  });
});

Deno.test("a plugin that was installed later has all its series with its first operation", async () => {
  const metrics = new PrometheusMetrics();
  metrics.pluginRan({ plugin: "dhcp", command: "VERSION", result: "ok", seconds: 0.01 });
  const series = await samples(metrics);
  const of = (command: string, result: string) =>
    series.get(
      `network_dra_cni_operations_total{plugin="dhcp",command="${command}",result="${result}"}`,
    );
  assert.equal(of("VERSION", "ok"), 1);
  assert.equal(of("ADD", "error"), 0);
  assert.equal(
    series.get(
      'network_dra_cni_operation_duration_seconds_count{plugin="dhcp",command="DEL"}',
    ),
    0,
  );
});

Deno.test("coming to know the agent again counts, with or without a loss in between", async () => {
  const metrics = new PrometheusMetrics();
  const numbers = async () => {
    const series = await samples(metrics);
    return ["connected", "reconnects_total"].map((name) =>
      series.get(`network_dra_${name}{side="kubelet"}`)
    );
  };
  metrics.connected("kubelet", false);
  assert.deepEqual(await numbers(), [0, 0]);
  metrics.connected("kubelet", true);
  assert.deepEqual(await numbers(), [1, 0]);
  metrics.connected("kubelet", true);
  assert.deepEqual(await numbers(), [1, 1]);
  metrics.connected("kubelet", false);
  assert.deepEqual(await numbers(), [0, 1]);
  metrics.connected("kubelet", true);
  assert.deepEqual(await numbers(), [1, 2]);
});
