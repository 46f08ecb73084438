import assert from "node:assert/strict";
import { FakeClock, FakeLog, FakeMetrics, settle } from "../../../tests/support/agent_fakes.ts";
import { Notifier } from "../../async/notifier.ts";
import { NodeDevices } from "./node_devices.ts";
import type { DevicePool } from "../ports.ts";
import type { NodeDevice, OfferedDevice } from "../model.ts";

const never = new AbortController().signal;

class FakePool implements DevicePool {
  readonly change = new Notifier();
  readonly offers: OfferedDevice[][] = [];
  before: NodeDevice[] = [];
  watches = 0;
  /** Called in each request; what it throws fails the request. */
  during: (request: "published" | "publish" | "changes") => void = () => {};
  #kept = "";

  async published() {
    await Promise.resolve();
    this.during("published");
    return this.before;
  }

  async publish(devices: readonly OfferedDevice[]) {
    await Promise.resolve();
    this.during("publish");
    const written = this.#kept !== JSON.stringify(devices);
    this.#kept = JSON.stringify(devices);
    if (written) this.offers.push([...devices]);
    return written;
  }

  async *changes(signal: AbortSignal) {
    this.watches++;
    this.during("changes");
    yield;
    for (;;) {
      await this.change.next(signal);
      this.during("changes");
      yield;
    }
  }

  wipe() {
    this.#kept = "";
    this.change.notify();
  }

  /** The last offer: `<name>` with `!` for one that is down, and who holds it. */
  get last(): string[] {
    return (this.offers.at(-1) ?? []).map(({ name, down, allocated }) =>
      `${name}${down ? "!" : ""}${allocated.length > 0 ? `(${allocated})` : ""}`
    );
  }
}

function link(name: string, more: Partial<NodeDevice> = {}): NodeDevice {
  const attributes = { interface: { string: name }, type: { string: "physical" } };
  return { name, attributes, down: false, ...more };
}

const CNI: NodeDevice = { name: "cni", attributes: { type: { string: "cni" } }, down: false };

function setUp() {
  const clock = new FakeClock();
  const log = new FakeLog();
  const metrics = new FakeMetrics();
  const pool = new FakePool();
  const node = { links: [link("eth0"), link("eth1")], allocated: [] as string[], reads: 0 };
  const inventory = {
    read: () => {
      node.reads++;
      return Promise.resolve([CNI, ...node.links]);
    },
  };
  const gone: string[] = [];
  const onGone = ({ name }: NodeDevice) => void gone.push(name);
  const devices = new NodeDevices({ inventory, pool, clock, log, metrics, onGone });
  const end = new AbortController();
  const start = async () => {
    const run = devices.run(() => node.allocated, end.signal);
    await clock.advance(0);
    return {
      async [Symbol.asyncDispose]() {
        end.abort();
        await run;
      },
    };
  };
  return { clock, log, metrics, pool, node, devices, gone, start };
}

Deno.test("the node's devices are published, and follow the node within 5 s", async () => {
  const { clock, metrics, pool, node, start } = setUp();
  await using _ = await start();
  assert.deepEqual(pool.last, ["cni", "eth0", "eth1"]);
  assert.equal(metrics.counted.at(-1), "devices 3 up 0 down");
  node.links = [link("eth0", { down: true }), link("eth2")];
  await clock.advance(5_000);
  assert.deepEqual(pool.last, ["cni", "eth0!", "eth2"]);
  assert.equal(metrics.counted.at(-1), "devices 2 up 1 down");
  node.links = [link("eth0"), link("eth2")];
  await clock.advance(5_000);
  assert.deepEqual(pool.last, ["cni", "eth0", "eth2"]);
  assert.equal(pool.offers.length, 3);
});

Deno.test("nothing is asked of the API server while nothing changes", async () => {
  const { clock, pool, node, start } = setUp();
  await using _ = await start();
  let requests = 0;
  pool.during = () => requests++;
  await clock.advance(600_000);
  assert.ok(node.reads > 100);
  assert.equal(requests, 0);
  // Who holds a device that is up changes nothing.
  node.allocated = ["eth0"];
  await clock.advance(10_000);
  assert.equal(requests, 0);
});

Deno.test("an interface that goes is told of, once, and known to be gone until it is back", async () => {
  const { clock, node, devices, gone, start } = setUp();
  // Nothing is known yet, which does not mean that it is gone.
  assert.equal(devices.isGone("eth1"), false);
  await using _ = await start();
  assert.deepEqual(["eth0", "eth1-3", "eth9", "cni-2"].map((each) => devices.isGone(each)), [
    false,
    false,
    true,
    false,
  ]);
  node.links = [link("eth0", { down: true })];
  await clock.advance(10_000);
  assert.deepEqual(gone, ["eth1"]);
  assert.equal(devices.isGone("eth1-3"), true);
  node.links = [link("eth0"), link("eth1")];
  await clock.advance(10_000);
  assert.deepEqual(gone, ["eth1"]);
  assert.equal(devices.isGone("eth1-3"), false);
});

Deno.test("slices that others delete are published again", async () => {
  const { clock, pool, start } = setUp();
  await using _ = await start();
  await clock.advance(10_000);
  pool.wipe();
  await clock.advance(0);
  assert.equal(pool.offers.length, 2);
  assert.deepEqual(pool.last, ["cni", "eth0", "eth1"]);
});

Deno.test("a device that a claim holds stays when its interface has gone", async () => {
  const { clock, pool, node, start } = setUp();
  await using _ = await start();
  node.allocated = ["eth1"];
  node.links = [link("eth0")];
  await clock.advance(2_000);
  assert.deepEqual(pool.last, ["cni", "eth0", "eth1!(eth1)"]);
  node.allocated = [];
  await clock.advance(2_000);
  assert.deepEqual(pool.last, ["cni", "eth0"]);
});

Deno.test("numbered copies that claims hold stay as they are", async () => {
  const { pool, node, start } = setUp();
  node.allocated = ["eth0-3", "cni-1"];
  await using _ = await start();
  assert.deepEqual(pool.last, ["cni(cni-1)", "eth0(eth0-3)", "eth1"]);
});

Deno.test("after a restart, what is held and gone is known by what was published", async () => {
  const { pool, node, start } = setUp();
  pool.before = [link("eth7"), link("eth8"), link("eth0", { down: true })];
  node.allocated = ["eth7"];
  await using _ = await start();
  assert.deepEqual(pool.last, ["cni", "eth0", "eth1", "eth7!(eth7)"]);
  assert.deepEqual(pool.offers[0]!.at(-1)!.attributes, link("eth7").attributes);
});

Deno.test("a failure is said once, tried again, and its end is said", async () => {
  const { clock, log, pool, start } = setUp();
  let away = true;
  pool.during = () => {
    if (away) throw new Error("connection refused");
  };
  await using _ = await start();
  await clock.advance(120_000);
  assert.equal(pool.offers.length, 0);
  const warnings = () => log.lines.filter((line) => line.startsWith("warn"));
  assert.deepEqual(warnings(), [
    "warn cannot watch the node's ResourceSlices; trying again",
    "warn cannot publish the node's devices; trying again",
  ]);
  away = false;
  await clock.advance(30_000);
  assert.deepEqual(pool.last, ["cni", "eth0", "eth1"]);
  assert.equal(log.lines.filter((line) => line === "info published the node's devices").length, 1);
  assert.equal(warnings().length, 2);
});

Deno.test("a watch that ends is begun anew, and what it missed is found", async () => {
  const { clock, pool, start } = setUp();
  await using _ = await start();
  pool.during = (request) => {
    if (request === "changes") throw new Error("gone");
  };
  pool.wipe();
  await settle();
  assert.equal(pool.offers.length, 1);
  pool.during = () => {};
  await clock.advance(2_000);
  assert.equal(pool.watches, 2);
  assert.equal(pool.offers.length, 2);
});

Deno.test("known() waits for the node to be read, and tells what a device stands for", async () => {
  const { node, devices, start } = setUp();
  const known = devices.known(never);
  node.links = [link("eth0"), link("eth0--2e100", { attributes: { interface: { string: "v" } } })];
  await using _ = await start();
  const interfaceOf = await known;
  const eth0 = { interfaceName: "eth0", type: "physical" };
  assert.deepEqual(interfaceOf("eth0"), { device: "eth0", ...eth0 });
  assert.deepEqual(interfaceOf("eth0-7"), { device: "eth0-7", ...eth0 });
  assert.deepEqual(interfaceOf("eth0--2e100").interfaceName, "v");
  assert.deepEqual(interfaceOf("cni"), { device: "cni" });
  assert.deepEqual(interfaceOf("cni-2"), { device: "cni-2" });
  assert.throws(
    () => interfaceOf("eth9"),
    /the interface of device eth9 is not on this node/,
  );
});

Deno.test("known() gives up when it is told to", async () => {
  const { devices } = setUp();
  const abort = new AbortController();
  const known = devices.known(abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(known, /enough/);
});
