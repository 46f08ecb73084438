import assert from "node:assert/strict";
import {
  FakeClock,
  FakeCluster,
  FakeLog,
  FakeMetrics,
} from "../../../tests/support/agent_fakes.ts";
import { StatusWriter } from "./status_writer.ts";
import type { DeviceStatus } from "../model.ts";

const claim = { namespace: "default", name: "a", uid: "uid-a" };

function entry(message: string): DeviceStatus {
  return {
    driver: "d",
    pool: "node",
    device: "cni",
    conditions: [{
      type: "Ready",
      status: "True",
      reason: "NetworkInterfaceReady",
      message,
      lastTransitionTime: "2026-01-01T00:00:00Z",
    }],
  };
}

function setUp() {
  const cluster = new FakeCluster();
  cluster.claims.set("default/a", {});
  const clock = new FakeClock();
  const log = new FakeLog();
  const metrics = new FakeMetrics();
  const state = { devices: [] as DeviceStatus[], changing: false };
  const statuses = new StatusWriter({ cluster, clock, log, metrics }, {
    build: () => state.devices,
    changing: () => state.changing,
  });
  return { cluster, clock, log, metrics, state, statuses };
}

Deno.test("changes that come together go out in one write", async () => {
  const { cluster, clock, state, statuses } = setUp();
  for (let i = 0; i < 10; i++) {
    state.devices = [entry(`${i}`)];
    statuses.changed(claim);
    await clock.advance(5);
  }
  await clock.advance(1000);
  assert.equal(cluster.applies, 1);
  assert.deepEqual(cluster.applied.get("uid-a"), [entry("9")]);
});

Deno.test("what is still being done comes into the same write, unless it takes long", async () => {
  const { cluster, clock, state, statuses } = setUp();
  state.changing = true;
  state.devices = [entry("one of two")];
  statuses.changed(claim);
  await clock.advance(900);
  assert.equal(cluster.applies, 0);
  state.devices = [entry("both")];
  state.changing = false;
  await clock.advance(200);
  assert.deepEqual(cluster.applied.get("uid-a"), [entry("both")]);
  state.changing = true;
  state.devices = [entry("one that hangs")];
  statuses.changed(claim);
  await clock.advance(2_100);
  assert.equal(cluster.applies, 2);
  assert.deepEqual(cluster.applied.get("uid-a"), [entry("one that hangs")]);
});

Deno.test("a change during a write is written after it", async () => {
  const { cluster, clock, state, statuses } = setUp();
  cluster.during = () => clock.sleep(500);
  state.devices = [entry("first")];
  statuses.changed(claim);
  await clock.advance(600);
  assert.equal(cluster.applied.size, 0, "the first write is still under way");
  state.devices = [entry("second")];
  statuses.changed(claim);
  await clock.advance(2000);
  assert.equal(cluster.applies, 2);
  assert.deepEqual(cluster.applied.get("uid-a"), [entry("second")]);
});

Deno.test("a write is repeated until the API server took it, and said once", async () => {
  const { cluster, clock, log, metrics, state, statuses } = setUp();
  let away = true;
  cluster.during = () => {
    if (away) throw new Error("connection refused");
  };
  state.devices = [entry("x")];
  statuses.changed(claim);
  await clock.advance(10 * 60_000);
  assert.ok(cluster.applies >= 15, `${cluster.applies} tries in ten minutes`);
  assert.equal(log.lines.filter((line) => line.startsWith("warn")).length, 1);
  away = false;
  await clock.advance(60_000);
  assert.deepEqual(cluster.applied.get("uid-a"), [entry("x")]);
  assert.ok(log.lines.includes("info wrote the status of claim default/a at last"));
  assert.deepEqual(metrics.counted.slice(0, 2), ["status failed first", "status failed retry"]);
  assert.equal(metrics.counted.at(-1), "status applied retry");
  assert.equal(metrics.counted.length, cluster.applies);
});

Deno.test("nothing is written when nothing changed", async () => {
  const { cluster, clock, metrics, state, statuses } = setUp();
  statuses.changed(claim);
  await clock.advance(1000);
  assert.equal(cluster.applies, 0);
  state.devices = [entry("x")];
  statuses.changed(claim);
  await clock.advance(1000);
  statuses.changed(claim);
  await clock.advance(1000);
  assert.equal(cluster.applies, 1);
  assert.deepEqual(metrics.counted, ["status applied first"]);
});

Deno.test("a restored claim is written even when it has no entry: an earlier run may have left one", async () => {
  const { cluster, clock, statuses } = setUp();
  statuses.restored(claim);
  await clock.advance(1000);
  assert.deepEqual(cluster.applied.get("uid-a"), []);
});

Deno.test("forget() writes the end and tries it a few times only", async () => {
  const { cluster, clock, state, statuses } = setUp();
  state.devices = [entry("x")];
  statuses.changed(claim);
  await clock.advance(1000);
  cluster.during = () => {
    throw new Error("connection refused");
  };
  state.devices = [];
  statuses.forget("uid-a");
  await clock.advance(60 * 60_000);
  assert.equal(cluster.applies, 1 + 5);
});

Deno.test("a claim that is prepared anew before its last write is done is one like others", async (t) => {
  await t.step("its entries go when it is forgotten", async () => {
    const { cluster, clock, state, statuses } = setUp();
    statuses.changed(claim);
    await clock.advance(600);
    statuses.forget(claim.uid);
    state.devices = [entry("anew")];
    statuses.changed(claim);
    await clock.advance(600);
    assert.deepEqual(cluster.applied.get("uid-a"), [entry("anew")]);
    state.devices = [];
    statuses.forget(claim.uid);
    await clock.advance(600);
    assert.deepEqual(cluster.applied.get("uid-a"), []);
  });
  await t.step("writes of it are tried until the API server took one", async () => {
    const { cluster, clock, state, statuses } = setUp();
    state.devices = [entry("before")];
    statuses.changed(claim);
    await clock.advance(600);
    cluster.during = () => {
      throw new Error("connection refused");
    };
    statuses.forget(claim.uid);
    state.devices = [entry("anew")];
    statuses.changed(claim);
    await clock.advance(600_000);
    cluster.during = () => {};
    await clock.advance(60_000);
    assert.deepEqual(cluster.applied.get("uid-a"), [entry("anew")]);
    await statuses.close();
  });
});

Deno.test("a claim that is gone is no error", async () => {
  const { cluster, clock, log, state, statuses } = setUp();
  cluster.claims.clear();
  state.devices = [entry("x")];
  statuses.changed(claim);
  await clock.advance(60_000);
  assert.equal(cluster.applies, 1);
  assert.deepEqual(log.lines, []);
});

Deno.test("close() ends a pause between tries", async () => {
  const { cluster, clock, state, statuses } = setUp();
  cluster.during = () => {
    throw new Error("connection refused");
  };
  state.devices = [entry("x")];
  statuses.changed(claim);
  await clock.advance(5000);
  await statuses.close();
  const before = cluster.applies;
  await clock.advance(60_000);
  assert.equal(cluster.applies, before);
});
