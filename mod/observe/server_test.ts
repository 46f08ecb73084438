import assert from "node:assert/strict";
import { FakeClock, FakeLog, settle } from "../../tests/support/agent_fakes.ts";
import { Loops } from "./loops.ts";
import { PrometheusMetrics } from "./metrics.ts";
import { Readiness } from "./readiness.ts";
import { serveObserved } from "./server.ts";

const hostname = "127.0.0.1";

function freePort(): number {
  const listener = Deno.listen({ hostname, port: 0 });
  listener.close();
  return listener.addr.port;
}

function setUp(port = freePort()) {
  const [log, clock, end] = [new FakeLog(), new FakeClock(), new AbortController()];
  const [readiness, loops] = [new Readiness(log), new Loops()];
  const served = serveObserved({ hostname, port }, {
    health: () => loops.checks(),
    readiness: () => readiness.checks(),
    metrics: new PrometheusMetrics(),
  }, { log, clock, signal: end.signal });
  const get = async (path: string, method = "GET") => {
    const response = await fetch(`http://${hostname}:${port}${path}`, { method });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const stop = async () => {
    end.abort();
    await served;
  };
  return { log, clock, readiness, loops, get, stop };
}

Deno.test("/readyz names both sides, and is 503 until both know the agent", async () => {
  const { readiness, log, get, stop } = setUp();
  try {
    const shown = async () => {
      const { status, text } = await get("/readyz");
      return [status, ...text.trimEnd().split("\n")];
    };
    const not = ["[-] NRI: not synchronized", "[-] kubelet: not registered"];
    assert.deepEqual(await shown(), [503, ...not]);
    readiness.set("NRI", true);
    assert.deepEqual(await shown(), [503, "[+] NRI: synchronized", not[1]]);
    readiness.set("kubelet", true);
    assert.deepEqual(await shown(), [200, "[+] NRI: synchronized", "[+] kubelet: registered"]);
    readiness.set("NRI", false);
    assert.deepEqual(await shown(), [503, not[0], "[+] kubelet: registered"]);
    readiness.set("NRI", true);
    assert.equal(log.lines.filter((line) => line === "info ready").length, 2);
  } finally {
    await stop();
  }
});

Deno.test("/healthz is 503 once a loop has ended", async () => {
  const { loops, get, stop } = setUp();
  try {
    const loop = Promise.withResolvers<void>();
    loops.watch("NRI", loop.promise);
    assert.deepEqual((await get("/healthz")).text, "[+] process: answers\n[+] NRI: running\n");
    loop.resolve();
    await settle();
    const { status, text } = await get("/healthz");
    assert.equal(status, 503);
    assert.match(text, /\[-\] NRI: ended/);
  } finally {
    await stop();
  }
});

Deno.test("/metrics is Prometheus' text format; other paths and methods are refused", async () => {
  const { get, stop } = setUp();
  try {
    const { status, headers, text } = await get("/metrics");
    assert.equal(status, 200);
    assert.match(headers.get("Content-Type")!, /^text\/plain; version=0\.0\.4/);
    assert.match(text, /^# TYPE network_dra_attachments gauge$/m);
    assert.equal((await get("/metrics", "HEAD")).status, 200);
    assert.equal((await get("/metrics", "POST")).status, 405);
    assert.equal((await get("/")).status, 404);
  } finally {
    await stop();
  }
});

Deno.test("a port that is taken is said once and tried again until it is free", async () => {
  const taken = Deno.listen({ hostname, port: 0 });
  const { log, clock, get, stop } = setUp(taken.addr.port);
  try {
    await clock.advance(60_000);
    const said = "cannot serve health and metrics; trying again (--listen names another address)";
    assert.deepEqual(log.lines.slice(0, 2), [`warn ${said}`, `debug ${said}`]);
    assert.ok(log.lines.slice(1).every((line) => line === `debug ${said}`));
    taken.close();
    await clock.advance(2_000);
    assert.equal((await get("/healthz")).status, 200);
  } finally {
    await stop();
  }
});

Deno.test("serveObserved() ends although a client keeps its connection", async () => {
  const { get, stop } = setUp();
  await get("/healthz");
  await stop();
});
