import assert from "node:assert/strict";
import { withApi } from "../../tests/support/api_connection.ts";
import { FakeClock, FakeLog, settle } from "../../tests/support/agent_fakes.ts";
import type { WarningEvent } from "../agent/model.ts";
import type { SimulatedApiServer } from "../simulator/api_server.ts";
import { KubeEvents } from "./events.ts";

interface Bench {
  readonly api: SimulatedApiServer;
  readonly events: KubeEvents;
  readonly clock: FakeClock;
  readonly log: FakeLog;
  /** Moves the clock second by second until it is so: requests take real time. */
  readonly until: (isSo: () => boolean) => Promise<void>;
}

function withEvents(body: (bench: Bench) => Promise<void>) {
  return withApi(async ({ api, connection }) => {
    const clock = new FakeClock();
    const log = new FakeLog();
    const events = new KubeEvents(connection, { component: "d", host: "node-1", clock, log });
    const until = async (isSo: () => boolean) => {
      for (let tries = 0; !isSo(); tries++) {
        assert.ok(tries < 1000, `it does not come to that: ${JSON.stringify(api.events.all())}`);
        await clock.advance(1_000);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    try {
      await body({ api, events, clock, log, until });
    } finally {
      await events.close();
    }
  });
}

function aWarning(message: string, more: Partial<WarningEvent> = {}): WarningEvent {
  return {
    reason: "NetworkAttachFailed",
    message,
    about: { kind: "Pod", namespace: "default", name: "p", uid: "uid-p" },
    ...more,
  };
}

const shown = (api: SimulatedApiServer) =>
  api.events.all().map(({ message, count }) => `${message} ${count}`);

Deno.test("warn() writes what kubectl shows of the object", () =>
  withEvents(async ({ api, events, until }) => {
    events.warn(aWarning("no address left"));
    await until(() => api.events.all().length > 0);
    const { metadata, ...event } = api.events.all()[0]!;
    assert.match(metadata.name, /^p\.[0-9a-f]{16}$/);
    assert.deepEqual(event, {
      apiVersion: "v1",
      kind: "Event",
      involvedObject: {
        apiVersion: "v1",
        kind: "Pod",
        namespace: "default",
        name: "p",
        uid: "uid-p",
      },
      reason: "NetworkAttachFailed",
      message: "no address left",
      type: "Warning",
      count: 1,
      firstTimestamp: "2026-01-01T00:00:00Z",
      lastTimestamp: "2026-01-01T00:00:00Z",
      source: { component: "d", host: "node-1" },
      reportingComponent: "d",
      reportingInstance: "node-1",
    });
  }));

Deno.test("the same again raises the count in few writes; other objects, reasons and messages do not", () =>
  withEvents(async ({ api, events, until }) => {
    let requests = 0;
    api.fault = () => {
      requests++;
      return undefined;
    };
    const about = { kind: "ResourceClaim", namespace: "default", name: "a", uid: "uid-a" } as const;
    events.warn(aWarning("x"));
    await until(() => shown(api).length === 1);
    for (let i = 0; i < 99; i++) events.warn(aWarning("x"));
    events.warn(aWarning("y"));
    events.warn(aWarning("x", { about }));
    events.warn(aWarning("x", { reason: "NetworkAttachedLate" }));
    await until(() => shown(api)[0] === "x 100");
    assert.deepEqual(shown(api), ["x 100", "y 1", "x 1", "x 1"]);
    assert.equal(requests, 5);
    assert.equal(api.events.all()[2]?.involvedObject.apiVersion, "resource.k8s.io/v1");
  }));

Deno.test("the same after a long time is a new event", () =>
  withEvents(async ({ api, events, clock, until }) => {
    events.warn(aWarning("x"));
    await until(() => shown(api).length === 1);
    await clock.advance(600_000);
    events.warn(aWarning("x"));
    await until(() => shown(api).length === 2);
    assert.deepEqual(shown(api), ["x 1", "x 1"]);
  }));

Deno.test("an event that the cluster has forgotten is written anew with its count", () =>
  withEvents(async ({ api, events, until }) => {
    events.warn(aWarning("x"));
    await until(() => shown(api).length === 1);
    api.events.expire();
    events.warn(aWarning("x"));
    await until(() => shown(api).length === 1);
    assert.deepEqual(shown(api), ["x 2"]);
  }));

Deno.test("one object gets ten events, however its messages change; others get theirs", () =>
  withEvents(async ({ api, events, until }) => {
    for (let i = 0; i < 100; i++) events.warn(aWarning(`x${i}`));
    const about = { kind: "Pod", namespace: "default", name: "q", uid: "uid-q" } as const;
    events.warn(aWarning("last", { about }));
    await until(() => shown(api).includes("last 1"));
    assert.equal(shown(api).length, 11);
  }));

Deno.test("a write that fails is tried three times, then dropped and said once", () =>
  withEvents(async ({ api, events, log, until }) => {
    let requests = 0;
    api.fault = () => {
      requests++;
      return new Response("etcd is away", { status: 503 });
    };
    events.warn(aWarning("x"));
    events.warn(aWarning("y"));
    await until(() => requests === 6);
    api.fault = () => undefined;
    events.warn(aWarning("z"));
    await until(() => shown(api).length === 1);
    assert.deepEqual(shown(api), ["z 1"]);
    assert.deepEqual(log.lines, [
      "warn cannot write an event (NetworkAttachFailed) of the Pod default/p",
      "debug cannot write an event (NetworkAttachFailed) of the Pod default/p",
    ]);
  }));

Deno.test("more than can be remembered while the API server is slow: the oldest are dropped, and said once", () =>
  withEvents(async ({ api, events, log, until }) => {
    const answered = Promise.withResolvers<undefined>();
    api.fault = () => answered.promise;
    for (let i = 0; i < 600; i++) {
      const about = { kind: "Pod", namespace: "default", name: `p${i}`, uid: `uid-${i}` } as const;
      events.warn(aWarning("x", { about }));
    }
    assert.equal(log.lines.filter((line) => line.startsWith("warn")).length, 1);
    assert.equal(log.lines.length, 100);
    answered.resolve(undefined);
    await until(() =>
      api.events.all().some(({ involvedObject }) => involvedObject.name === "p599")
    );
    assert.equal(api.events.all().length, 500);
  }));

Deno.test("a refusal is not tried again", () =>
  withEvents(async ({ api, events, log, until }) => {
    let requests = 0;
    api.fault = () => {
      requests++;
      return Response.json({ message: "events is forbidden" }, { status: 403 });
    };
    events.warn(aWarning("x"));
    await until(() => log.lines.length === 1);
    assert.equal(requests, 1);
  }));

Deno.test("an attempt that succeeded although its answer was lost is not a failure", () =>
  withEvents(async ({ api, events, log, clock, until }) => {
    events.warn(aWarning("x"));
    let requests = 0;
    api.fault = async (request) => {
      if (++requests > 1) return undefined;
      await api.events.answer(request);
      return new Response("", { status: 504 });
    };
    await until(() => requests === 2);
    await clock.advance(1_000);
    assert.deepEqual(shown(api), ["x 1"]);
    assert.deepEqual(log.lines, []);
  }));

Deno.test("long names and messages are cut to what the API server takes", () =>
  withEvents(async ({ api, events, until }) => {
    const name = `${"a".repeat(229)}-${"b".repeat(23)}`;
    const about = { kind: "Pod", namespace: "default", name, uid: "u" } as const;
    events.warn(aWarning(`begins ${"x".repeat(5000)} ends`, { about }));
    await until(() => shown(api).length === 1);
    const { message, involvedObject } = api.events.all()[0]!;
    assert.ok(message.length <= 1024);
    assert.match(message, /^begins x+…x+ ends$/);
    assert.equal(involvedObject.name, name);
  }));

Deno.test("close() gives up what is not written", () =>
  withEvents(async ({ api, events, until }) => {
    const answered = Promise.withResolvers<Response>();
    let requests = 0;
    api.fault = () => {
      requests++;
      return answered.promise;
    };
    events.warn(aWarning("x"));
    await until(() => requests === 1);
    await events.close();
    events.warn(aWarning("y"));
    answered.resolve(Response.json({}));
    await settle();
    assert.equal(requests, 1);
  }));
