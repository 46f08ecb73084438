import assert from "node:assert/strict";
import { FakeClock, FakeLog, settle } from "../../tests/support/agent_fakes.ts";
import { Loops } from "./loops.ts";
import { PrometheusMetrics } from "./metrics.ts";
import { Needs } from "./needs.ts";
import { serveObserved } from "./server.ts";

const hostname = "127.0.0.1";

function freePort(): number {
  const listener = Deno.listen({ hostname, port: 0 });
  listener.close();
  return listener.addr.port;
}

function setUp(port = freePort()) {
  const [log, clock, end] = [new FakeLog(), new FakeClock(), new AbortController()];
  const missing = new Set(["NRI", "kubelet"]);
  const lack = (name: string) =>
    missing.has(name) ? { problem: `no ${name}`, whatToDo: "start it" } : undefined;
  const needs = new Needs([
    { name: "NRI", met: "synchronized", lack: () => lack("NRI") },
    { name: "kubelet", met: "registered", lack: () => lack("kubelet") },
  ], { clock, log });
  const loops = new Loops();
  const served = serveObserved({ hostname, port }, {
    agent: "node-1",
    health: () => loops.checks(),
    readiness: () => needs.checks(),
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
  return { log, clock, missing, loops, get, stop };
}

Deno.test("/readyz names what is missing, and is 503 until all is there", async () => {
  const { missing, clock, get, stop } = setUp();
  try {
    const shown = async () => {
      const { status, text } = await get("/readyz");
      return [status, ...text.trimEnd().split("\n")];
    };
    assert.deepEqual(await shown(), [
      503,
      "[-] NRI: no NRI (for 0s): start it",
      "[-] kubelet: no kubelet (for 0s): start it",
    ]);
    missing.delete("NRI");
    await clock.advance(70_000);
    assert.deepEqual(await shown(), [
      503,
      "[+] NRI: synchronized",
      "[-] kubelet: no kubelet (for 1m10s): start it",
    ]);
    missing.delete("kubelet");
    assert.deepEqual(await shown(), [200, "[+] NRI: synchronized", "[+] kubelet: registered"]);
  } finally {
    await stop();
  }
});

Deno.test("/healthz is 503 once a loop has ended", async () => {
  const { loops, get, stop } = setUp();
  try {
    const loop = Promise.withResolvers<void>();
    loops.watch("NRI", loop.promise, { says: () => "not connected" });
    loops.watch("upkeep", new Promise(() => {}));
    assert.deepEqual(await get("/healthz").then(({ status, text }) => [status, text]), [
      200,
      "[+] process: answers\n[+] NRI: not connected\n[+] upkeep: running\n",
    ]);
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
    const said = "cannot serve health and metrics; trying again (set --listen to another address)";
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
