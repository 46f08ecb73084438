import assert from "node:assert/strict";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import { described, OtlpCollector, type Span } from "../../tests/support/otlp_collector.ts";
import type { PodStep } from "../agent/ports.ts";
import { systemClock } from "../async/clock.ts";
import { PodTraces, traceId } from "./traces.ts";

const UID = "0b6dfd2a-4a44-4c1e-9d3f-6a1f5f2f9c11";
const POD = { namespace: "default", name: "demo", uid: UID };

function setUp(endpoint: string) {
  const log = new FakeLog();
  const options = { endpoint, nodeName: "node-1", version: "1.2.3", clock: systemClock, log };
  return { log, traces: new PodTraces(options) };
}

function step(more: Partial<PodStep> = {}): PodStep {
  return { name: "add", pod: POD, seconds: 0.25, about: { plugin: "macvlan" }, ...more };
}

Deno.test("the steps of a pod arrive at the collector in one trace, which is named for the pod", async () => {
  await using collector = new OtlpCollector();
  const { traces } = setUp(collector.endpoint);
  const before = Date.now();
  traces.ended(step({ name: "prepare", about: { claim: "default/lan" } }));
  traces.ended(step({ error: "no address left" }));
  await traces.close();
  const [request, ...others] = collector.requests;
  assert.ok(request && others.length === 0);
  assert.equal(request.path, "POST /v1/traces");
  assert.deepEqual(request.resource, [
    "service.name=network-dra",
    "service.version=1.2.3",
    "k8s.node.name=node-1",
  ]);
  assert.deepEqual(request.spans.map(({ name }) => name), ["prepare", "add"]);
  for (const { traceId, spanId, parentSpanId } of request.spans) {
    assert.equal(traceId, UID.replaceAll("-", ""));
    assert.match(spanId, /^[0-9a-f]{16}$/);
    assert.equal(parentSpanId, undefined);
  }
  const [prepare, add] = request.spans as [Span, Span];
  const [start, end] = [prepare.startTimeUnixNano, prepare.endTimeUnixNano].map(BigInt);
  assert.equal(Number(end! - start!), 250_000_000);
  assert.ok(Number(end! / 1_000_000n) >= before);
  assert.deepEqual(described(prepare.attributes), [
    "k8s.namespace.name=default",
    "k8s.pod.name=demo",
    `k8s.pod.uid=${UID}`,
    "claim=default/lan",
  ]);
  assert.deepEqual([prepare.status.code, add.status], [0, { code: 2, message: "no address left" }]);
});

Deno.test("a collector that is away, refuses or hangs costs the steps and one line in the log", async () => {
  const said = "warn cannot send traces; they are dropped";
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  free.close();
  const away = setUp(`http://127.0.0.1:${free.addr.port}`);
  away.traces.ended(step());
  await away.traces.close();
  assert.deepEqual(away.log.lines, [said]);

  await using collector = new OtlpCollector();
  collector.answer = () => new Response("no", { status: 500 });
  const refused = setUp(collector.endpoint);
  refused.traces.ended(step());
  await refused.traces.close();
  assert.deepEqual(refused.log.lines, [said]);

  const hangs = Promise.withResolvers<Response>();
  collector.answer = () => hangs.promise;
  const { traces } = setUp(collector.endpoint);
  const began = performance.now();
  for (let i = 0; i < 10_000; i++) traces.ended(step());
  assert.ok(performance.now() - began < 2_000, "whoever ends a step waits for the collector");
  await traces.close();
  assert.ok(performance.now() - began < 10_000, "the agent's end waits for the collector");
  hangs.resolve(new Response());
});

Deno.test("the queue is bounded: what does not fit is dropped", async () => {
  await using collector = new OtlpCollector();
  const { traces } = setUp(collector.endpoint);
  traces.ended(step());
  // The library is loaded by then.
  while (collector.spans.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  for (let i = 0; i < 10_000; i++) traces.ended(step());
  await traces.close();
  // One batch is on its way beside the queue.
  const { length } = collector.spans;
  assert.ok(length > 1_000 && length <= 1 + 2_048 + 256, `${length} spans`);
  assert.ok(collector.requests.every(({ spans }) => spans.length <= 256));
});

Deno.test("traceId() is the pod's UID, or made of it where that is none of 32 digits", () => {
  assert.equal(traceId(UID), "0b6dfd2a4a444c1e9d3f6a1f5f2f9c11");
  // A static pod's.
  assert.equal(traceId("5f2f9c110b6dfd2a4a444c1e9d3f6a1f"), "5f2f9c110b6dfd2a4a444c1e9d3f6a1f");
  for (const uid of ["uid-demo", "00000000-0000-0000-0000-000000000000"]) {
    assert.match(traceId(uid), /^(?!0+$)[0-9a-f]{32}$/);
  }
});
