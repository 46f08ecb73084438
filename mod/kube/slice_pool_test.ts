import assert from "node:assert/strict";
import { withApi } from "../../tests/support/api_connection.ts";
import type { OfferedDevice } from "../agent/model.ts";
import type { SimulatedApiServer } from "../simulator/api_server.ts";
import type { KubeConnection } from "./connection.ts";
import { SlicePool } from "./slice_pool.ts";

const never = new AbortController().signal;
const driver = "dra.networking";

interface Bench {
  readonly api: SimulatedApiServer;
  readonly connection: KubeConnection;
  readonly pool: SlicePool;
}

function withPool(body: (bench: Bench) => Promise<void>) {
  return withApi(async ({ api, connection }) => {
    api.addNode("node-1");
    await body({ api, connection, pool: aPool(connection) });
  });
}

function aPool(connection: KubeConnection, nodeName = "node-1"): SlicePool {
  return new SlicePool(connection, { driver, nodeName, attachments: 1000, copies: 2 });
}

function some(...names: string[]): OfferedDevice[] {
  return names.map((name) => ({
    name,
    attributes: { interface: { string: name } },
    down: name.startsWith("down"),
    allocated: [],
  }));
}

const many = (n: number) => some(...Array.from({ length: n }, (_, i) => `d${i}`));

/** `<generation>/<slices>: <devices>` for each slice. */
function shown(api: SimulatedApiServer): string[] {
  return api.slices.all().map(({ spec: { pool, devices = [] } }) => {
    const names = devices.length > 5 ? devices.length : devices.map(({ name }) => name).join();
    return `${pool.generation}/${(pool as Record<string, unknown>).resourceSliceCount}: ${names}`;
  });
}

Deno.test("publish() creates the slice of the node, which owns it", () =>
  withPool(async ({ api, pool }) => {
    assert.equal(await pool.publish(some("a", "down"), never), true);
    const [slice] = api.slices.all();
    const { metadata, spec } = slice!;
    assert.match(metadata.name, /^dra\.networking-node-1-/);
    const [owner] = metadata.ownerReferences as Record<string, unknown>[];
    assert.deepEqual({ ...owner, uid: "" }, {
      apiVersion: "v1",
      kind: "Node",
      name: "node-1",
      uid: "",
      controller: true,
    });
    assert.match(owner!.uid as string, /^[0-9a-f-]{36}$/);
    assert.equal(spec.driver, driver);
    assert.equal(spec.nodeName, "node-1");
    assert.deepEqual(spec.pool, { name: "node-1", generation: 1, resourceSliceCount: 1 });
    assert.deepEqual(await pool.published(never), [
      { name: "a", attributes: { interface: { string: "a" } }, down: false },
      { name: "down", attributes: { interface: { string: "down" } }, down: true },
    ]);
  }));

Deno.test("publish() creates the slice of a node whose name is as long as names can be", () =>
  withApi(async ({ api, connection }) => {
    // The prefix is cut at a dot, before one and after one.
    for (let first = 1; first <= 62; first++) {
      const nodeName = ("a".repeat(first) + `.${"b".repeat(60)}`.repeat(4)).slice(0, 253);
      api.addNode(nodeName);
      assert.equal(await aPool(connection, nodeName).publish(some("a"), never), true);
    }
    const names = api.slices.all().map(({ metadata }) => metadata.name);
    assert.equal(names.length, 62);
    for (const name of names) assert.match(name, /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/);
  }));

Deno.test("publish() writes nothing when nothing changed, after a restart too", () =>
  withPool(async ({ api, pool, connection }) => {
    // In several slices, whichever comes first by name.
    for (const devices of [some("a", "down"), many(200), many(200).toReversed()]) {
      await pool.publish(devices, never);
      const { writes } = api.slices;
      assert.equal(await pool.publish(devices, never), false);
      assert.equal(await aPool(connection).publish(devices, never), false);
      assert.equal(api.slices.writes, writes);
    }
  }));

Deno.test("publish() raises the generation on all slices, and takes away what is obsolete", () =>
  withPool(async ({ api, pool }) => {
    await pool.publish(many(130), never);
    assert.deepEqual(shown(api), ["1/2: 128", "1/2: d128,d129"]);
    await pool.publish(many(129), never);
    assert.deepEqual(shown(api), ["2/2: 128", "2/2: d128"]);
    await pool.publish(some("a"), never);
    assert.deepEqual(shown(api), ["3/1: a"]);
    await pool.publish(many(129), never);
    assert.deepEqual(shown(api), ["4/2: 128", "4/2: d128"]);
  }));

Deno.test("publish() leaves other drivers' and other nodes' slices alone", () =>
  withPool(async ({ api, pool, connection }) => {
    api.addNode("node-2");
    const options = { attachments: 1, copies: 1 };
    const other = new SlicePool(connection, { driver: "gpu", nodeName: "node-1", ...options });
    await other.publish(some("gpu"), never);
    await aPool(connection, "node-2").publish(some("b"), never);
    await pool.publish(some("a"), never);
    await pool.publish([], never);
    assert.deepEqual(shown(api), ["1/1: gpu", "1/1: b", "2/1: "]);
  }));

Deno.test("publish() numbers devices where the API server drops sharing, and stays quiet", () =>
  withPool(async ({ api, pool }) => {
    api.slices.features.sharing = false;
    await pool.publish(some("a"), never);
    assert.deepEqual(shown(api), ["1/1: a-0,a-1"]);
    assert.equal(api.slices.writes, 1);
    assert.equal(await pool.publish(some("a"), never), false);
  }));

Deno.test("publish() asks anew what the API server keeps after a watch, be it that it just ended", () =>
  withPool(async ({ api, pool }) => {
    api.slices.features.sharing = false;
    const watch = pool.changes(never)[Symbol.asyncIterator]();
    await watch.next();
    await pool.publish(some("a"), never);
    assert.deepEqual(shown(api), ["1/1: a-0,a-1"]);
    // As when one API server of several makes way for a newer release: it ends its watches properly.
    api.slices.features.sharing = true;
    api.slices.endWatches();
    while (!(await watch.next()).done);
    await pool.publish(some("a"), never);
    assert.deepEqual(shown(api), ["2/1: a"]);
  }));

Deno.test("publish() leaves devices out that are down where the API server drops taints", () =>
  withPool(async ({ api, pool }) => {
    api.slices.features.taints = false;
    await pool.publish(some("a", "down"), never);
    assert.deepEqual(shown(api), ["1/1: a"]);
    assert.equal(await pool.publish(some("a", "down"), never), false);
  }));

Deno.test("publish() adopts what the API server makes of a device", () =>
  withPool(async ({ api, pool }) => {
    api.fault = async (request) => {
      if (request.method !== "POST") return undefined;
      const body = await request.json();
      for (const device of body.spec.devices) delete device.attributes;
      const url = new URL(request.url);
      return await api.slices.answer(
        new Request(url, { method: "POST", body: JSON.stringify(body) }),
        url,
      );
    };
    assert.equal(await pool.publish(some("a"), never), true);
    assert.equal(await pool.publish(some("a"), never), false);
    assert.equal(await pool.publish(some("a", "b"), never), true);
  }));

Deno.test("publish() keeps the time of a taint that stays", () =>
  withPool(async ({ api, pool }) => {
    await pool.publish(some("down"), never);
    const [taint] = api.slices.devices()[0]!.taints!;
    taint!.timeAdded = "2026-01-01T00:00:00Z";
    await pool.publish(some("down", "e"), never);
    assert.equal(api.slices.devices()[0]!.taints![0]!.timeAdded, "2026-01-01T00:00:00Z");
  }));

Deno.test("publish() says what is missing", async (t) => {
  const cases: Record<string, [(bench: Bench) => SlicePool, RegExp]> = {
    "no Node": [
      ({ connection }) => aPool(connection, "node-9"),
      /there is no Node "node-9": give --node-name/,
    ],
    "no rights": [({ api, pool }) => {
      api.fault = ({ url }) =>
        url.includes("resourceslices") ? new Response("{}", { status: 403 }) : undefined;
      return pool;
    }, /does not let the agent manage ResourceSlices: grant it/],
    "an old cluster": [({ api, pool }) => {
      api.fault = ({ url }) =>
        url.includes("resourceslices") ? new Response("", { status: 404 }) : undefined;
      return pool;
    }, /Kubernetes 1\.34 or later/],
  };
  for (const [name, [prepare, says]] of Object.entries(cases)) {
    await t.step(name, () =>
      withPool(async (bench) => {
        await assert.rejects(prepare(bench).publish(some("a"), never), { message: says });
      }));
  }
});

Deno.test("changes() yields when it begins and when slices change, and ends with the watch", () =>
  withPool(async ({ api, pool }) => {
    const changes = pool.changes(never)[Symbol.asyncIterator]();
    assert.deepEqual(await changes.next(), { done: false, value: undefined });
    const next = changes.next();
    await pool.publish(some("a"), never);
    assert.equal((await next).done, false);
    const gone = changes.next();
    api.slices.deleteAll();
    assert.equal((await gone).done, false);
    api.slices.endWatches();
    assert.equal((await changes.next()).done, true);
  }));

Deno.test("changes() rejects when the signal is aborted or the server says no", () =>
  withPool(async ({ api, pool }) => {
    const abort = new AbortController();
    const changes = pool.changes(abort.signal)[Symbol.asyncIterator]();
    await changes.next();
    const next = changes.next();
    abort.abort(new Error("enough"));
    await assert.rejects(next, /enough/);
    api.fault = () => new Response("busy", { status: 429 });
    await assert.rejects(pool.changes(never)[Symbol.asyncIterator]().next(), /429: busy/);
  }));

Deno.test("watch() ends after its limit, for a lost connection says nothing", () =>
  withPool(async ({ connection }) => {
    const path = "/apis/resource.k8s.io/v1/resourceslices?watch=true";
    const events: unknown[] = [];
    for await (const event of connection.watch({ path, limit: 50, signal: never })) {
      events.push(event);
    }
    assert.deepEqual(events, [undefined]);
  }));
