import assert from "node:assert/strict";
import {
  anAttachment,
  aSandbox,
  FakeClock,
  FakeCni,
  FakeDevices,
  FakeEvents,
  FakeJournal,
  FakeLog,
  FakeMetrics,
  FakeNamespaces,
  FakeTraces,
  settle,
} from "../../../tests/support/agent_fakes.ts";
import type { Attachment } from "../../claim/attachment.ts";
import { CheckLoop, type CheckLoopOptions } from "./check_loop.ts";
import { Limiter } from "../../async/limiter.ts";
import { NetworkLocks } from "../attachments/network_locks.ts";
import type { Finding, NodeDevice } from "../model.ts";
import { PodAttachments } from "../attachments/pod_attachments.ts";
import { Sandboxes } from "../attachments/sandboxes.ts";

const claim = { namespace: "default", name: "a", uid: "uid-a" };
const never = new AbortController().signal;
const LOST: Finding = { state: "lost", cause: "no such link" };

/** One sandbox with its networks attached, and a checkup that is not running yet. */
async function setUp(attachments: readonly Attachment[] = [anAttachment("net1")]) {
  const ports = {
    cni: new FakeCni(),
    journal: new FakeJournal(),
    namespaces: new FakeNamespaces(),
    clock: new FakeClock(),
    log: new FakeLog(),
    events: new FakeEvents(),
    metrics: new FakeMetrics(),
    traces: new FakeTraces(),
    devices: new FakeDevices(),
    limiter: new Limiter(1),
    networks: new NetworkLocks(),
    assertInterfaceFree: () => {},
    recall: () => Promise.resolve(undefined),
  };
  const sandboxes = new Sandboxes();
  const network = new PodAttachments(aSandbox("s1"), ports, () => {});
  network.want(claim, attachments);
  sandboxes.add(network);
  sandboxes.update(network, claim.uid);
  await network.ready(never);
  await settle();
  const checkup = new CheckLoop(ports, sandboxes);
  const end = new AbortController();
  const run = (options: Partial<CheckLoopOptions> = {}) =>
    checkup.run({ interval: 60_000, repair: false, ...options }, end.signal);
  const stop = async (running: Promise<void>) => {
    end.abort();
    await running;
    await network.close();
  };
  const checks = () => ports.cni.log.filter((call) => call.startsWith("CHECK")).length;
  const [first] = network.entries;
  /** As it is now. */
  const entry = () => network.current(first!)!;
  return { ...ports, network, checkup, run, stop, checks, entry };
}

const device = (name: string, interfaceName = name): NodeDevice => ({
  name,
  attributes: { interface: { string: interfaceName } },
  down: false,
});

Deno.test("what is attached is checked again and again, with the result of its ADD", async () => {
  const { run, stop, checks, clock, cni, metrics, events, network } = await setUp([
    anAttachment("net1"),
    anAttachment("net2"),
  ]);
  const running = run();
  await settle();
  assert.equal(checks(), 2);
  const call = cni.calls.at(-1)!;
  assert.equal(call.runtime.netns, "/var/run/netns/s1");
  assert.ok(call.prevResult);
  await clock.advance(61_000);
  assert.equal(checks(), 4);
  assert.deepEqual(metrics.counted, Array(4).fill("checked intact"));
  assert.deepEqual(events.lines, []);
  assert.deepEqual(network.entries.map(({ phase }) => phase), ["attached", "attached"]);
  await stop(running);
});

Deno.test("an interval of 0 checks nothing", async () => {
  const { run, stop, checks, clock } = await setUp();
  const running = run({ interval: 0 });
  await clock.advance(600_000);
  assert.equal(checks(), 0);
  await stop(running);
});

Deno.test("what two looks do not find is lost, told once, and on disk", async () => {
  const { run, stop, cni, clock, events, journal, entry, metrics } = await setUp();
  cni.finding = () => LOST;
  const running = run();
  await settle();
  assert.equal(entry().lost, undefined);
  await clock.advance(5_000);
  assert.deepEqual(entry().lost, {
    reason: "NetworkInterfaceLost",
    message: "no such link",
    since: "2026-01-01T00:00:05.000Z",
  });
  assert.deepEqual([...journal.attachments.values()][0]?.lost, entry().lost);
  assert.ok([...journal.attachments.values()][0]?.attached);
  await clock.advance(300_000);
  assert.deepEqual(events.lines, [
    'NetworkLost Pod/s1: network "network-net1" (interface net1, claim default/a) is lost: ' +
    "no such link: recreate the pod to attach it again",
  ]);
  assert.equal(entry().phase, "lost");
  assert.ok(metrics.counted.every((line) => line === "checked lost"));
  assert.deepEqual(cni.log.filter((call) => !call.startsWith("CHECK")), ["ADD net1"]);
  await stop(running);
});

Deno.test("what one look does not find and the next does is not lost", async () => {
  const { run, stop, cni, clock, events, entry } = await setUp();
  cni.finding = () => LOST;
  const running = run();
  await settle();
  cni.finding = () => ({ state: "intact" });
  await clock.advance(60_000);
  assert.equal(entry().lost, undefined);
  assert.deepEqual(events.lines, []);
  await stop(running);
});

Deno.test("a lost one that CHECK finds again is ready, since then", async () => {
  const { run, stop, cni, clock, entry, journal } = await setUp();
  cni.finding = () => LOST;
  const running = run();
  await clock.advance(5_000);
  assert.ok(entry().lost);
  cni.finding = () => ({ state: "intact" });
  await clock.advance(60_000);
  assert.equal(entry().lost, undefined);
  assert.ok(entry().attached!.at > "2026-01-01T00:00:05.000Z");
  assert.equal([...journal.attachments.values()][0]?.lost, undefined);
  await stop(running);
});

Deno.test("a plugin that cannot look says nothing of the attachment, and is told of once", async () => {
  const { run, stop, cni, clock, entry, log, metrics } = await setUp();
  cni.finding = () => ({ state: "unknown", cause: "macvlan is in none of the folders" });
  const running = run({ repair: true });
  await clock.advance(300_000);
  assert.equal(entry().lost, undefined);
  assert.equal(log.lines.filter((line) => line.startsWith("warn")).length, 1);
  assert.ok(metrics.counted.length > 3);
  assert.ok(metrics.counted.every((line) => line === "checked unknown"));
  await stop(running);
});

Deno.test("repair: a lost one is detached and attached anew, and ready since then", async () => {
  const { run, stop, cni, clock, entry, events, metrics } = await setUp();
  cni.attached.clear();
  const running = run({ repair: true });
  await clock.advance(5_000);
  assert.deepEqual(cni.log.filter((call) => !call.startsWith("CHECK")), [
    "ADD net1",
    "DEL net1",
    "ADD net1",
  ]);
  assert.ok(cni.calls.find(({ command }) => command === "DEL")!.prevResult);
  assert.equal(entry().phase, "attached");
  assert.equal(entry().attached!.at, "2026-01-01T00:00:05.000Z");
  assert.match(events.lines.join(), /is lost: net1 is not there: attaching it again$/);
  assert.ok(metrics.counted.includes("repaired ok"));
  await clock.advance(120_000);
  assert.equal(cni.log.filter((call) => call === "ADD net1").length, 2);
  // Containers have been waiting for nothing: it was there before they were.
  assert.ok(!events.lines.some((line) => line.startsWith("NetworkAttachedLate")));
  await stop(running);
});

Deno.test("repair: nothing is taken away while the plugins could not attach it again", async () => {
  const { run, stop, cni, clock, entry, metrics } = await setUp();
  cni.attached.clear();
  let ready = false;
  cni.verifying = () => {
    if (!ready) throw new Error("host-local is in none of the folders");
  };
  const running = run({ repair: true });
  await clock.advance(30_000);
  assert.ok(!cni.log.includes("DEL net1"));
  assert.equal(entry().phase, "lost");
  assert.ok(metrics.counted.includes("repaired error"));
  ready = true;
  await clock.advance(10_000);
  assert.equal(entry().phase, "attached");
  await stop(running);
});

Deno.test("repair: an agent that dies between DEL and ADD has a record that says so", async () => {
  const { run, stop, cni, clock, journal } = await setUp();
  cni.attached.clear();
  const records: boolean[] = [];
  cni.during = ({ command }) => {
    if (command !== "CHECK") records.push(!![...journal.attachments.values()][0]?.attached);
  };
  const running = run({ repair: true });
  await clock.advance(5_000);
  assert.deepEqual(records, [false, false]);
  assert.ok([...journal.attachments.values()][0]?.attached);
  await stop(running);
});

Deno.test("repair: what a failed DEL may have undone in part is attached anew, although CHECK finds it intact", async () => {
  const { run, stop, cni, clock, entry, network } = await setUp();
  // Nothing of the interface is gone, but its lease may be.
  let dels = 0;
  cni.during = ({ command }) => {
    if (command === "DEL" && ++dels < 3) throw new Error("it failed in the middle");
  };
  network.markLost(entry(), { reason: "NetworkInterfaceLost", message: "", repair: true });
  await settle();
  assert.equal(entry().phase, "attach_failed");
  const running = run({ repair: true, interval: 100 });
  await clock.advance(10_000);
  assert.equal(entry().phase, "attached");
  const others = cni.log.filter((call) => !call.startsWith("CHECK"));
  assert.deepEqual(others, ["ADD net1", "DEL net1", "DEL net1", "DEL net1", "ADD net1"]);
  const asked = cni.calls.filter(({ command }) => command === "DEL");
  assert.ok(asked.every(({ prevResult }) => prevResult));
  await stop(running);
});

Deno.test("what stands on an interface that has gone is looked at at once", async () => {
  const onEth1 = anAttachment("net1", { device: "eth1-3" });
  const { run, stop, cni, devices, checkup, clock, entry, events } = await setUp([
    onEth1,
    anAttachment("net2"),
  ]);
  const running = run();
  await settle();
  cni.calls.length = 0;
  cni.finding = ({ ifName }) => ifName === "net1" ? LOST : { state: "intact" };
  devices.gone.add("eth1-3");
  checkup.deviceGone(device("eth1"));
  await settle();
  assert.deepEqual(cni.log, ["CHECK net1"]);
  assert.equal(entry().lost?.reason, "DeviceRemoved");
  assert.deepEqual(events.lines, [
    'NetworkDeviceRemoved Pod/s1: network "network-net1" (interface net1, claim default/a) is ' +
    "lost: the interface of device eth1-3 is gone from the node: no such link: " +
    "recreate the pod to attach it again",
  ]);
  // It comes back as something else: ready only when CHECK says so.
  devices.gone.clear();
  await clock.advance(60_000);
  assert.equal(entry().lost?.reason, "NetworkInterfaceLost");
  cni.finding = () => ({ state: "intact" });
  await clock.advance(60_000);
  assert.equal(entry().lost, undefined);
  await stop(running);
});

Deno.test("a master that the configuration names counts as what an attachment stands on", async () => {
  const plugins = [{ type: "macvlan", master: "eth7" }];
  const network = { cniVersion: "1.0.0", name: "lan", plugins };
  const { run, stop, checks, checkup } = await setUp([anAttachment("net1", { network })]);
  const running = run({ interval: 0 });
  checkup.deviceGone(device("eth8"));
  await settle();
  assert.equal(checks(), 0);
  checkup.deviceGone(device("eth7"));
  await settle();
  assert.equal(checks(), 1);
  await stop(running);
});

Deno.test("a device that went into the pod is not lost", async () => {
  const network = { cniVersion: "0.3.1", name: "nic", plugins: [{ type: "host-device" }] };
  const { run, stop, cni, devices, checkup, entry } = await setUp([
    anAttachment("net1", { device: "eth1", network }),
  ]);
  cni.finding = () => ({ state: "uncheckable" });
  const running = run({ interval: 0 });
  devices.gone.add("eth1");
  checkup.deviceGone(device("eth1"));
  await settle();
  assert.equal(entry().lost, undefined);
  await stop(running);
});

Deno.test("what cannot be checked went with the interface that it was made on", async () => {
  const plugins = [{ type: "macvlan", master: "eth1" }];
  const network = { cniVersion: "0.3.1", name: "lan", plugins };
  const { run, stop, cni, devices, checkup, clock, entry, metrics } = await setUp([
    anAttachment("net1", { device: "eth1", network }),
  ]);
  cni.finding = () => ({ state: "uncheckable" });
  const running = run({ repair: true });
  await settle();
  assert.equal(entry().phase, "attached");
  devices.gone.add("eth1");
  checkup.deviceGone(device("eth1"));
  await settle();
  assert.equal(entry().lost?.reason, "DeviceRemoved");
  // Attached again when the interface is back, and not before.
  await clock.advance(120_000);
  assert.ok(!cni.log.includes("DEL net1"));
  devices.gone.clear();
  await clock.advance(60_000);
  assert.equal(entry().phase, "attached");
  assert.ok(!metrics.counted.some((line) => line.startsWith("checked")));
  await stop(running);
});

Deno.test("a CHECK that hangs keeps neither ADD nor DEL waiting", async () => {
  const { run, stop, cni, network, clock } = await setUp();
  cni.during = ({ command }) => command === "CHECK" ? new Promise(() => {}) : undefined;
  const running = run();
  await settle();
  network.want({ ...claim, uid: "uid-b" }, [anAttachment("net2")]);
  await network.ready(never);
  assert.deepEqual(cni.log, ["ADD net1", "CHECK net1", "ADD net2"]);
  assert.deepEqual(cni.overlaps, []);
  await clock.advance(61_000);
  network.stop();
  await settle();
  assert.deepEqual(network.entries, []);
  assert.deepEqual(cni.overlaps, []);
  await stop(running);
});

Deno.test("a CHECK that hangs does not keep the agent from its end", async () => {
  const { run, stop, cni } = await setUp();
  cni.during = ({ command }) => command === "CHECK" ? new Promise(() => {}) : undefined;
  const running = run();
  await settle();
  assert.equal(cni.log.at(-1), "CHECK net1");
  await stop(running);
});

Deno.test("rounds rest four times as long as they work", async () => {
  const { run, stop, cni, clock } = await setUp(
    Array.from({ length: 10 }, (_, i) => anAttachment(`net${i}`)),
  );
  cni.during = () => clock.sleep(1000);
  const began: number[] = [];
  const { during } = cni;
  cni.during = (call) => {
    began.push(clock.now().getTime());
    return during(call);
  };
  const running = run();
  await clock.advance(50_000);
  const gaps = began.slice(1).map((at, i) => at - began[i]!);
  assert.deepEqual(gaps, Array(9).fill(5_000));
  await stop(running);
});

Deno.test("rounds go on when the node's clock is set", async (t) => {
  const day = 86_400_000;
  await t.step("back", async () => {
    const { run, stop, checks, clock } = await setUp();
    const running = run();
    await settle();
    clock.set(-day);
    await clock.advance(181_000);
    assert.equal(checks(), 4);
    await stop(running);
  });
  await t.step("forward during a CHECK", async () => {
    const { run, stop, checks, clock, cni } = await setUp();
    cni.during = () => {
      clock.set(day);
      cni.during = () => {};
    };
    const running = run();
    await clock.advance(181_000);
    assert.ok(checks() >= 3);
    await stop(running);
  });
});

Deno.test("a CHECK that fails for what ADD has just made is said once, and takes nothing from the pod", async () => {
  const { run, stop, cni, clock, events, entry, log, metrics, namespaces } = await setUp();
  namespaces.foreign.set("/var/run/netns/s1", new Set(["lo", "net1"]));
  cni.finding = () => ({ state: "lost", cause: "could not find bandwidth" });
  const running = run({ repair: true });
  await clock.advance(300_000);
  assert.equal(entry().phase, "attached");
  assert.deepEqual(cni.log.filter((call) => !call.startsWith("CHECK")), ["ADD net1"]);
  assert.deepEqual(events.lines, []);
  assert.equal(log.lines.filter((line) => line.startsWith("warn")).length, 1);
  assert.ok(!metrics.counted.includes("checked lost"));
  await stop(running);
});

Deno.test("a repair that CHECK does not find intact is not repeated", async () => {
  const { run, stop, cni, clock, entry, namespaces } = await setUp();
  const running = run({ repair: true });
  await settle();
  assert.equal(entry().attached?.checked, true);
  namespaces.foreign.set("/var/run/netns/s1", new Set(["net1"]));
  // Whoever makes it again meets the name of the old one until that is deleted.
  cni.during = ({ command }) => {
    const names = command === "DEL" ? [] : ["net1"];
    if (command !== "CHECK") namespaces.foreign.set("/var/run/netns/s1", new Set(names));
  };
  cni.finding = () => ({ state: "lost", cause: "an address is missing" });
  await clock.advance(600_000);
  assert.deepEqual(cni.log.filter((call) => !call.startsWith("CHECK")), [
    "ADD net1",
    "DEL net1",
    "ADD net1",
  ]);
  assert.equal(entry().phase, "attached");
  await stop(running);
});
