import assert from "node:assert/strict";
import {
  aSandbox,
  FakeClock,
  FakeCluster,
  FakeEvents,
  FakeLog,
  FakeMetrics,
  FakeTraces,
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
  const events = new FakeEvents();
  const traces = new FakeTraces();
  const state = { devices: [] as DeviceStatus[], changing: false };
  const statuses = new StatusWriter({ cluster, clock, log, metrics, events, traces }, {
    build: () => state.devices,
    changing: () => state.changing,
    pods: () => [aSandbox("p").pod],
  });
  return { traces, cluster, clock, events, log, metrics, state, statuses };
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
  assert.ok(log.lines.includes("info wrote the status of claim default/a"));
  assert.deepEqual(metrics.counted.slice(0, 2), ["status failed first", "status failed retry"]);
  // A minute after it, the claim is looked at once more.
  const applied = metrics.counted.filter((each) => each.startsWith("status applied"));
  assert.equal(applied[0], "status applied retry");
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

Deno.test("finish() writes the end and tries it a few times only", async () => {
  const { cluster, clock, state, statuses } = setUp();
  state.devices = [entry("x")];
  statuses.changed(claim);
  await clock.advance(1000);
  cluster.during = () => {
    throw new Error("connection refused");
  };
  state.devices = [];
  statuses.finish("uid-a");
  await clock.advance(60 * 60_000);
  assert.equal(cluster.applies, 1 + 5);
});

Deno.test("a claim that is prepared anew before its last write is done is one like others", async (t) => {
  await t.step("its entries go when it is unprepared", async () => {
    const { cluster, clock, state, statuses } = setUp();
    statuses.changed(claim);
    await clock.advance(600);
    statuses.finish(claim.uid);
    state.devices = [entry("anew")];
    statuses.changed(claim);
    await clock.advance(600);
    assert.deepEqual(cluster.applied.get("uid-a"), [entry("anew")]);
    state.devices = [];
    statuses.finish(claim.uid);
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
    statuses.finish(claim.uid);
    state.devices = [entry("anew")];
    statuses.changed(claim);
    await clock.advance(600_000);
    cluster.during = () => {};
    await clock.advance(60_000);
    assert.deepEqual(cluster.applied.get("uid-a"), [entry("anew")]);
    await statuses.close();
  });
});

const whole: DeviceStatus = {
  ...entry("attached as net1"),
  data: { cniVersion: "1.0.0" },
  networkData: { interfaceName: "net1", ips: ["10.0.0.2/24"] },
};

/** Has the API server refuse statuses, and notes what it was offered. */
function refusing(cluster: FakeCluster, refuses: (devices: readonly DeviceStatus[]) => boolean) {
  const offered: DeviceStatus[][] = [];
  const apply = cluster.applyDeviceStatus.bind(cluster);
  cluster.applyDeviceStatus = (claim, devices) => {
    offered.push([...devices]);
    if (!refuses(devices)) return apply(claim, devices);
    return Promise.reject(Object.assign(new Error("422: invalid"), { refused: true }));
  };
  return offered;
}

Deno.test("a status that the API server refuses is written with less in it, said and counted", async () => {
  const { cluster, clock, events, log, metrics, state, statuses } = setUp();
  refusing(cluster, ([first]) => first?.data !== undefined);
  state.devices = [whole];
  statuses.changed(claim);
  await clock.advance(60 * 60_000);
  const { data: _, ...rest } = whole;
  const [condition] = entry(
    "attached as net1 (written without data, which the API server refuses)",
  ).conditions;
  assert.deepEqual(cluster.applied.get("uid-a"), [{ ...rest, conditions: [condition] }]);
  const says =
    "the API server refuses the status of claim default/a, it is written without data: " +
    "422: invalid";
  assert.deepEqual(log.lines, [`warn ${says}`]);
  assert.deepEqual(events.lines, [`NetworkStatusRefused ResourceClaim/a: ${says}`]);
  assert.deepEqual(metrics.counted, ["status refused first", "status applied first"]);
  state.devices = [{ ...whole, device: "other" }];
  statuses.changed(claim);
  await clock.advance(1_000);
  assert.equal(events.lines.length, 1, "the same is said once");
});

Deno.test("a status that the API server refuses in every form is not tried again before it changes", async () => {
  const { cluster, clock, events, state, statuses } = setUp();
  let refuses = true;
  const offered = refusing(cluster, () => refuses);
  state.devices = [whole];
  statuses.changed(claim);
  await clock.advance(24 * 60 * 60_000);
  assert.deepEqual(
    offered.map(([each]) => [each!.data !== undefined, each!.networkData]),
    [
      [true, whole.networkData],
      [false, whole.networkData],
      [false, { interfaceName: "net1" }],
      [false, undefined],
    ],
  );
  assert.equal(events.lines.length, 1);
  assert.match(events.lines[0]!, /written when the claim changes: 422: invalid$/);
  statuses.changed(claim);
  await clock.advance(60_000);
  assert.equal(offered.length, 4, "nothing has changed");
  refuses = false;
  state.devices = [entry("lost")];
  statuses.changed(claim);
  await clock.advance(1_000);
  assert.deepEqual(cluster.applied.get("uid-a"), [entry("lost")]);
});

/** Of the condition that was written last. */
function timeWritten(cluster: FakeCluster): string {
  return cluster.applied.get("uid-a")![0]!.conditions[0]!.lastTransitionTime;
}

function since(status: "True" | "False", lastTransitionTime: string): DeviceStatus {
  const [condition] = entry(`${status} since ${lastTransitionTime}`).conditions;
  return { ...entry(""), conditions: [{ ...condition!, status, lastTransitionTime }] };
}

Deno.test("lastTransitionTime is when the condition's status changed, not its cause", async () => {
  const { cluster, clock, state, statuses } = setUp();
  const write = async (device: DeviceStatus) => {
    state.devices = [device];
    statuses.changed(claim);
    await clock.advance(1_000);
    return timeWritten(cluster);
  };
  const [first, second, third] = [0, 10, 20].map((seconds) =>
    new Date(clock.now().getTime() + seconds * 1000).toISOString()
  ) as [string, string, string];
  assert.equal(await write(since("False", first)), first, "one pod's network has failed");
  assert.equal(
    await write(since("False", second)),
    first,
    "another pod's is lost: still not Ready",
  );
  assert.equal(await write(since("True", third)), third, "all are attached");
  assert.equal(await write(since("True", second)), third, "another pod speaks for the device");
  clock.set(60_000);
  const lost = clock.now().toISOString();
  assert.equal(await write(since("False", lost)), lost);
  const before = clock.now().getTime();
  const found = Date.parse(await write(since("True", second)));
  assert.ok(found >= before, "found again: later than it was lost, though attached before");
});

Deno.test("lastTransitionTime of a restored claim is what the API server has", async () => {
  const { cluster, clock, state, statuses } = setUp();
  const written = since("True", "2025-12-31T23:00:00Z");
  const metadata = { uid: "uid-a", resourceVersion: "1" };
  cluster.claims.set("default/a", { metadata, status: { devices: [written] } });
  state.devices = [since("True", "2025-12-31T22:00:00Z")];
  statuses.restored(claim);
  await clock.advance(1_000);
  assert.equal(timeWritten(cluster), "2025-12-31T23:00:00Z");
});

Deno.test("a restored claim is not written when the API server has its entries already", async () => {
  const { cluster, clock, state, statuses } = setUp();
  const written = since("True", "2025-12-31T23:00:00Z");
  const metadata = { uid: "uid-a", resourceVersion: "1" };
  const other = { ...written, driver: "gpu.example" };
  cluster.claims.set("default/a", { metadata, status: { devices: [other, written] } });
  // The API server keeps no fractions of a second.
  const [condition] = written.conditions;
  const lastTransitionTime = "2025-12-31T23:00:00.500Z";
  state.devices = [{ ...written, conditions: [{ ...condition!, lastTransitionTime }] }];
  statuses.restored(claim);
  await clock.advance(1_000);
  assert.equal(cluster.applies, 0);
  state.devices = [since("False", "2026-01-01T00:00:00Z")];
  statuses.changed(claim);
  await clock.advance(1_000);
  assert.deepEqual(cluster.applied.get("uid-a"), state.devices);
});

Deno.test("a write of an agent that died, which comes after the first one of the next agent, is undone", async () => {
  const { cluster, clock, state, statuses } = setUp();
  state.devices = [since("True", "2026-01-01T00:00:00Z")];
  statuses.restored(claim);
  statuses.restored(claim);
  await clock.advance(1_000);
  assert.equal(cluster.applies, 1);
  const late = since("False", "2025-12-31T23:00:00Z");
  const metadata = { uid: "uid-a", resourceVersion: "2" };
  cluster.claims.set("default/a", { metadata, status: { devices: [late] } });
  await clock.advance(60_000);
  assert.equal(cluster.applies, 2);
  const [{ conditions: [ready] }] = cluster.applied.get("uid-a") as [DeviceStatus];
  assert.equal(ready!.status, "True");
  cluster.claims.set("default/a", { metadata, status: { devices: state.devices } });
  await clock.advance(60 * 60_000);
  assert.equal(cluster.applies, 2);
});

Deno.test("a write that had no answer, but was done, is undone when the claim is again as before (run 2487225682)", async () => {
  const { cluster, clock, state, statuses } = setUp();
  state.devices = [entry("one pod")];
  statuses.changed(claim);
  await clock.advance(1_000);
  // The API server takes the next one, and the answer is lost; then it is away for a while.
  cluster.during = () => {
    cluster.applied.set("uid-a", state.devices);
    throw new Error("no answer");
  };
  state.devices = [entry("a second pod fails")];
  statuses.changed(claim);
  await clock.advance(600);
  cluster.during = () => {
    throw new Error("connection refused");
  };
  state.devices = [entry("one pod")];
  statuses.changed(claim);
  await clock.advance(5_000);
  cluster.during = () => {};
  await clock.advance(60_000);
  assert.deepEqual(cluster.applied.get("uid-a"), [entry("one pod")]);
  await statuses.close();
});

Deno.test("a write that had no answer, and is done after the next one, is undone", async () => {
  const { cluster, clock, state, statuses } = setUp();
  cluster.during = () => {
    throw new Error("no answer");
  };
  state.devices = [entry("late")];
  statuses.changed(claim);
  await clock.advance(600);
  cluster.during = () => {};
  state.devices = [entry("now")];
  statuses.changed(claim);
  await clock.advance(10_000);
  assert.deepEqual(cluster.applied.get("uid-a"), [entry("now")]);
  const written = { ...entry("late"), driver: "d" };
  cluster.applied.set("uid-a", [written]);
  cluster.claims.set("default/a", { status: { devices: [written] } });
  await clock.advance(120_000);
  assert.deepEqual(cluster.applied.get("uid-a"), [entry("now")]);
  await statuses.close();
});

Deno.test("a claim that is gone is not an error", async () => {
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

Deno.test("each write is a step on the way of the pods that have the networks", async () => {
  const { cluster, clock, state, statuses, traces } = setUp();
  let tries = 0;
  cluster.during = async () => {
    await clock.sleep(200);
    if (tries++ === 0) throw new Error("no answer");
  };
  state.devices = [entry("one")];
  statuses.changed(claim);
  await clock.advance(5_000);
  assert.deepEqual(traces.steps, ["p status 0.2 no answer", "p status 0.2"]);
});
