import assert from "node:assert/strict";
import {
  anAttachment,
  aSandbox,
  type CniCall,
  FakeClock,
  FakeCni,
  FakeEvents,
  FakeJournal,
  FakeLog,
  FakeMetrics,
  FakeNamespaces,
  FakeTraces,
  settle,
} from "../../../tests/support/agent_fakes.ts";
import type { Attached, AttachmentRecord } from "../model.ts";
import { Limiter } from "../../async/limiter.ts";
import { NetworkLocks } from "./network_locks.ts";
import { PodAttachments } from "./pod_attachments.ts";

const claim = { namespace: "default", name: "a", uid: "uid-a" };
const one = [anAttachment("net1")];
const three = [anAttachment("net1"), anAttachment("net2"), anAttachment("net3")];

function setUp(
  { sandbox = aSandbox("s1"), width = 4, limiter = new Limiter(width) } = {},
) {
  const recalls = {
    current: (_: AttachmentRecord): Promise<Attached | undefined> => Promise.resolve(undefined),
  };
  const ports = {
    cni: new FakeCni(),
    journal: new FakeJournal(),
    namespaces: new FakeNamespaces(),
    clock: new FakeClock(),
    log: new FakeLog(),
    events: new FakeEvents(),
    metrics: new FakeMetrics(),
    traces: new FakeTraces(),
    limiter,
    networks: new NetworkLocks(),
    assertInterfaceFree: () => {},
    recall: (record: AttachmentRecord) => recalls.current(record),
  };
  const changed: string[] = [];
  const network = new PodAttachments(sandbox, ports, ({ uid }) => changed.push(uid));
  return { ...ports, changed, network, recalls };
}

function failing(times: number, command = "ADD") {
  let left = times;
  return (call: CniCall) => {
    if (call.command === command && left-- > 0) throw new Error("no address left");
  };
}

/** Aborts after `ms` of the fake clock. */
function deadline(clock: FakeClock, ms: number): AbortSignal {
  const over = new AbortController();
  clock.sleep(ms).then(() => over.abort());
  return over.signal;
}

const never = new AbortController().signal;

Deno.test("what a CHECK finds keeps no container waiting while it is put on record", async () => {
  const { network, journal } = setUp();
  network.want(claim, three);
  await network.ready(never);
  const disk = Promise.withResolvers<void>();
  journal.before = () => disk.promise;
  const [entry] = network.entries;
  network.markLost(entry!, { reason: "NetworkInterfaceLost", message: "", repair: false });
  await settle();
  assert.ok(network.entries.every(({ ready }) => ready), "lost");
  network.markIntact(entry!);
  await settle();
  assert.ok(network.entries.every(({ ready }) => ready), "found again");
  disk.resolve();
  await network.close();
});

Deno.test("want() returns before anything is done, then attaches in order", async () => {
  const { network, cni, journal } = setUp();
  network.want(claim, three);
  assert.deepEqual(cni.log, []);
  await network.ready(never);
  assert.deepEqual(cni.log, ["ADD net1", "ADD net2", "ADD net3"]);
  await settle();
  assert.equal([...journal.attachments.values()].every(({ attached }) => attached), true);
});

Deno.test("want() passes the arguments that Kubernetes runtimes pass", async () => {
  const { network, cni } = setUp();
  network.want(claim, [anAttachment("net1", { capabilityArgs: { mac: "02:00:00:00:00:01" } })]);
  await network.ready(never);
  assert.deepEqual(cni.calls[0]?.runtime, {
    containerID: "s1",
    netns: "/var/run/netns/s1",
    ifName: "net1",
    args: [
      ["IgnoreUnknown", "true"],
      ["K8S_POD_NAMESPACE", "default"],
      ["K8S_POD_NAME", "s1"],
      ["K8S_POD_INFRA_CONTAINER_ID", "s1"],
      ["K8S_POD_UID", "uid-s1"],
    ],
    capabilityArgs: { mac: "02:00:00:00:00:01" },
    claim,
    pod: { namespace: "default", name: "s1", uid: "uid-s1" },
  });
});

Deno.test("what goes to disk keeps no operation waiting but its own", async () => {
  const { network, cni, journal } = setUp();
  const intents: PromiseWithResolvers<void>[] = [];
  const disk = Promise.withResolvers<void>();
  journal.before = (change) => {
    if (change === "putResult") return disk.promise;
    intents.push(Promise.withResolvers<void>());
    return intents.at(-1)!.promise;
  };
  network.want(claim, three);
  await settle();
  assert.equal(intents.length, 3);
  assert.deepEqual(cni.log, []);
  intents.forEach(({ resolve }) => resolve());
  await settle();
  assert.deepEqual(cni.log, ["ADD net1", "ADD net2", "ADD net3"]);
  assert.equal(network.entries.some(({ ready }) => ready), false);
  disk.resolve();
  await network.ready(never);
});

Deno.test("stop() before the turn of a network: its record goes without a DEL", async () => {
  const { network, cni, journal } = setUp();
  cni.during = ({ command }) => {
    if (command === "ADD") network.stop();
  };
  network.want(claim, three);
  await network.released(claim.uid, never);
  assert.deepEqual(cni.log, ["ADD net1", "DEL net1"]);
  assert.equal(journal.attachments.size, 0);
});

Deno.test("the sandbox that came first goes first, but for one whose containers wait", async () => {
  const limiter = new Limiter(1);
  const sandboxes = ["s1", "s2", "s3"].map((id) => {
    const { network, ...ports } = setUp({ sandbox: aSandbox(id), limiter });
    return { network, ...ports };
  });
  const order: string[] = [];
  for (const { cni } of sandboxes) {
    cni.during = async ({ runtime }) => {
      order.push(`${runtime.containerID} ${runtime.ifName}`);
      await settle();
    };
  }
  for (const { network } of sandboxes) network.want(claim, three.slice(0, 2));
  await settle();
  await sandboxes[2]!.network.ready(never);
  await Promise.all(sandboxes.map(({ network }) => network.ready(never)));
  assert.deepEqual(order, ["s1 net1", "s3 net1", "s1 net2", "s3 net2", "s2 net1", "s2 net2"]);
});

Deno.test("the intent is on disk before ADD, the result after it", async () => {
  const { network, cni, journal } = setUp();
  const changes: string[] = [];
  journal.before = (change) => void changes.push(change);
  cni.during = ({ command }) => void changes.push(command);
  network.want(claim, one);
  await settle();
  network.stop();
  await settle();
  assert.deepEqual(changes, ["putIntent", "ADD", "putResult", "DEL", "removeAttachment"]);
});

Deno.test("nothing is added while the intent cannot be written", async () => {
  const { network, cni, journal, clock } = setUp();
  let full = true;
  journal.before = () => {
    if (full) throw new Error("no space left on device");
  };
  network.want(claim, one);
  await assert.rejects(network.ready(never), /network "network-net1" .* no space left on device/);
  assert.deepEqual(cni.log, []);
  full = false;
  await clock.advance(1000);
  await network.ready(never);
});

Deno.test("the gate opens when the result is on disk", async () => {
  const { network, journal } = setUp();
  const disk = Promise.withResolvers<void>();
  journal.before = (change) => change === "putResult" ? disk.promise : undefined;
  network.want(claim, one);
  let open = false;
  const gate = network.ready(never).then(() => open = true);
  await settle();
  assert.equal(open, false);
  disk.resolve();
  await gate;
  assert.ok([...journal.attachments.values()][0]?.attached);
});

Deno.test("an attachment opens the gate only when the disk takes its result", async () => {
  const { network, cni, journal, clock } = setUp();
  let full = true;
  journal.before = (change) => {
    if (full && change === "putResult") throw new Error("no space left on device");
  };
  network.want(claim, one);
  await assert.rejects(network.ready(never), /is not ready: no space left on device/);
  full = false;
  await clock.advance(1000);
  await network.ready(never);
  assert.deepEqual(cni.log, ["ADD net1"]);
  assert.ok([...journal.attachments.values()][0]?.attached);
});

Deno.test("a failed ADD is followed by DEL, and tried again before the kubelet's next try", async () => {
  const { network, cni, clock } = setUp();
  cni.during = failing(1);
  network.want(claim, one);
  await settle();
  assert.deepEqual(cni.log, ["ADD net1", "DEL net1"]);
  await clock.advance(400);
  await network.ready(never);
  assert.deepEqual(cni.log, ["ADD net1", "DEL net1", "ADD net1"]);
});

Deno.test("a DEL that failed after a failed ADD comes first at the next try", async () => {
  const { network, cni, journal, clock } = setUp();
  let failures = 2;
  cni.during = () => {
    if (failures-- > 0) throw new Error("busy");
  };
  network.want(claim, one);
  await settle();
  assert.equal(journal.attachments.size, 1);
  await clock.advance(400);
  assert.deepEqual(cni.log, ["ADD net1", "DEL net1", "DEL net1", "ADD net1"]);
});

Deno.test("the failure of one network does not keep the others from being attached", async () => {
  const { network, cni, clock } = setUp();
  cni.during = ({ command, runtime }) => {
    if (command === "ADD" && runtime.ifName === "net1") throw new Error("no such master");
  };
  network.want(claim, three);
  await settle();
  assert.deepEqual([...cni.attached], ["s1/net2", "s1/net3"]);
  await clock.advance(400);
  assert.deepEqual(cni.log.filter((call) => call === "ADD net2"), ["ADD net2"]);
});

Deno.test("retries go on with growing pauses for as long as the sandbox lives", async () => {
  const { network, cni, clock } = setUp();
  cni.during = failing(Infinity);
  network.want(claim, one);
  await clock.advance(60_000);
  const tries = cni.log.filter((call) => call === "ADD net1").length;
  assert.ok(tries >= 10 && tries <= 20, `${tries} tries in a minute`);
  network.stop();
  await settle();
  const before = cni.calls.length;
  await clock.advance(60_000);
  assert.equal(cni.calls.length, before);
});

Deno.test("the same failure is reported once", async () => {
  const { network, cni, clock, log } = setUp();
  cni.during = failing(Infinity);
  network.want(claim, one);
  await clock.advance(60_000);
  assert.equal(log.lines.filter((line) => line.startsWith("warn cannot attach")).length, 1);
});

Deno.test("each failed try is told of with its cause: on the pod, and on the claim when it will not go", async () => {
  const { network, cni, clock, events } = setUp();
  cni.during = ({ command }) => {
    throw new Error(command === "ADD" ? "no address left" : "busy");
  };
  network.want(claim, one);
  await clock.advance(250);
  const attach = 'cannot attach network "network-net1" (interface net1, claim default/a): ';
  const attachFailed = `NetworkAttachFailed Pod/s1: ${attach}`;
  // Before the second try comes the DEL that the first owes.
  assert.deepEqual(events.lines, [`${attachFailed}no address left`, `${attachFailed}busy`]);
  assert.equal(events.warnings[0]?.about.uid, "uid-s1");
  events.warnings.length = 0;
  network.stop();
  await settle();
  const detach = attach.replace("attach", "detach");
  assert.deepEqual(events.lines, [
    `NetworkDetachFailed Pod/s1: ${detach}busy`,
    `NetworkDetachFailed ResourceClaim/a: ${detach}busy`,
  ]);
  assert.equal(events.warnings[1]?.about.uid, "uid-a");
  await network.close();
});

Deno.test("an attach that fails because the pod is going is told to nobody", async () => {
  const { network, cni, clock, events } = setUp();
  cni.during = async ({ command }) => {
    await clock.sleep(100);
    if (command === "ADD") throw new Error("no such namespace");
  };
  network.want(claim, one);
  await settle();
  network.stop();
  await clock.advance(1000);
  assert.deepEqual(events.lines, []);
  assert.deepEqual(network.entries, []);
});

Deno.test("ready() waits for a slow network", async () => {
  const { network, cni, clock } = setUp();
  cni.during = () => clock.sleep(1500);
  network.want(claim, one);
  const gate = network.ready(deadline(clock, 1800));
  await clock.advance(1600);
  await gate;
});

Deno.test("ready() names network, interface, claim and cause when the time is over", async () => {
  const { network, cni, clock } = setUp();
  cni.during = () => clock.sleep(3000);
  network.want(claim, one);
  const gate = network.ready(deadline(clock, 1800));
  const refused = assert.rejects(gate, {
    message:
      'network "network-net1" (interface net1, claim default/a) is not ready: still being attached',
  });
  await clock.advance(1800);
  await refused;
  await clock.advance(1200);
  await network.ready(never);
});

Deno.test("ready() stops holding up the runtime for a network that hangs", async () => {
  const { network, cni, clock } = setUp();
  cni.during = () => clock.sleep(600_000);
  network.want(claim, one);
  for (let i = 0; i < 3; i++) {
    const refused = assert.rejects(network.ready(deadline(clock, 1800)), /still being attached/);
    await clock.advance(1800);
    await refused;
  }
  await assert.rejects(network.ready(never), /still being attached/);
});

Deno.test("ready() tries a failed network at once instead of at the end of its pause", async () => {
  const { network, cni, clock } = setUp();
  let broken = true;
  cni.during = ({ command }) => {
    if (broken && command === "ADD") throw new Error("no such master");
  };
  network.want(claim, one);
  await clock.advance(30_000);
  broken = false;
  await network.ready(never);
});

Deno.test("ready() answers with the new cause when the try it asked for fails too", async () => {
  const { network, cni, clock } = setUp();
  let cause = "no such master";
  cni.during = ({ command }) => {
    if (command === "ADD") throw new Error(cause);
  };
  network.want(claim, one);
  await clock.advance(30_000);
  cause = "no address left";
  await assert.rejects(network.ready(never), /no address left/);
});

Deno.test("ready() rejects once the sandbox has stopped", async () => {
  const { network, cni, clock } = setUp();
  cni.during = () => clock.sleep(1000);
  network.want(claim, one);
  const refused = assert.rejects(network.ready(never), /sandbox s1 of pod default\/s1 has stopped/);
  await settle();
  network.stop();
  await clock.advance(3000);
  await refused;
});

Deno.test("stop() detaches in reverse order with the held namespace and the result of ADD", async () => {
  const { network, cni, journal, namespaces } = setUp();
  network.want(claim, three);
  await network.ready(never);
  network.stop();
  assert.deepEqual([...namespaces.held], ["/var/run/netns/s1"]);
  namespaces.gone.add("/var/run/netns/s1");
  await settle();
  assert.deepEqual(cni.log.slice(3), ["DEL net3", "DEL net2", "DEL net1"]);
  for (const call of cni.calls.slice(3)) {
    assert.equal(call.runtime.netns, "held:/var/run/netns/s1");
    assert.ok(call.prevResult);
  }
  assert.equal(journal.attachments.size, 0);
  assert.equal(namespaces.held.size, 0);
  assert.equal(network.idle, true);
});

Deno.test("stop() detaches without a namespace where it is gone already", async () => {
  const { network, cni, namespaces } = setUp();
  network.want(claim, one);
  await network.ready(never);
  namespaces.gone.add("/var/run/netns/s1");
  network.stop();
  await settle();
  assert.equal(cni.calls[1]?.runtime.netns, "");
});

Deno.test("stop() detaches where the namespace cannot be held, by its path", async () => {
  const { network, cni, namespaces } = setUp();
  network.want(claim, one);
  await network.ready(never);
  namespaces.hold = () => {
    throw new Error("too many open files");
  };
  network.stop();
  await network.released(claim.uid, never);
  assert.deepEqual([...cni.attached], []);
  assert.equal(cni.calls.at(-1)!.runtime.netns, "/var/run/netns/s1");
});

Deno.test("stop() during ADD detaches as soon as it is over, without a pause", async () => {
  const { network, cni, clock } = setUp();
  cni.during = async ({ command }) => {
    if (command !== "ADD") return;
    await clock.sleep(1000);
    throw new Error("killed");
  };
  network.want(claim, three);
  await clock.advance(500);
  network.stop();
  await clock.advance(500);
  assert.deepEqual(cni.log, ["ADD net1", "DEL net1"]);
  assert.equal(network.entries.length, 0);
});

Deno.test("one DEL that fails does not keep the others, and keeps its record until it succeeds", async () => {
  const { network, cni, journal, clock } = setUp();
  network.want(claim, three);
  await network.ready(never);
  await settle();
  let broken = true;
  cni.during = ({ runtime }) => {
    if (broken && runtime.ifName === "net2") throw new Error("IPAM is gone");
  };
  network.stop();
  await settle();
  assert.deepEqual([...cni.attached], ["s1/net2"]);
  assert.equal(journal.attachments.size, 1);
  broken = false;
  await clock.advance(1000);
  assert.equal(cni.attached.size, 0);
  assert.equal(journal.attachments.size, 0);
});

Deno.test("release() detaches one claim and leaves the others", async () => {
  const { network, cni } = setUp();
  const other = { ...claim, name: "b", uid: "uid-b" };
  network.want(claim, one);
  network.want(other, [anAttachment("net2")]);
  await network.ready(never);
  network.release(other.uid);
  await network.released(other.uid, never);
  assert.deepEqual([...cni.attached], ["s1/net1"]);
});

Deno.test("an interface name that another claim has in the sandbox is refused, and does the other no harm", async () => {
  const { network, cni, clock, journal } = setUp();
  const other = { ...claim, name: "b", uid: "uid-b" };
  network.want(claim, one);
  network.want(other, [anAttachment("net1", { request: "x" }), anAttachment("net2")]);
  await clock.advance(10_000);
  await assert.rejects(
    network.ready(deadline(clock, 1_000)),
    /\(interface net1, claim default\/b\) is not ready: it has the same interface name as network "network-net1" \(interface net1, claim default\/a\) in the same pod: give one of them a different name/,
  );
  assert.deepEqual(cni.log, ["ADD net1", "ADD net2"]);
  assert.equal(journal.attachments.size, 2);
  // The name is free when the other is gone.
  network.release(claim.uid);
  await network.ready(never);
  assert.deepEqual(cni.log.slice(2), ["DEL net1", "ADD net1"]);
  network.stop();
  await network.released(other.uid, never);
  assert.deepEqual([...cni.attached], []);
});

Deno.test("of two claims that want one interface name, the one that is on record has it after a restart", async () => {
  const { network, cni, clock } = setUp();
  const other = { ...claim, name: "b", uid: "uid-b" };
  const attached = { result: { cniVersion: "1.0.0" }, networkData: {}, at: "2026-01-01T00:00:00Z" };
  network.want(other, one);
  network.restore({ claim, sandbox: aSandbox("s1"), attachment: one[0]!, attached });
  await clock.advance(1_000);
  assert.deepEqual(cni.log, []);
  network.stop();
  await network.released(claim.uid, never);
  assert.deepEqual(cni.log, ["DEL net1"]);
});

Deno.test("a pod on the host's network is refused before anything is done", async () => {
  for (const sandbox of [{ ...aSandbox("s1"), netns: undefined }, aSandbox("s1")]) {
    const { network, cni, journal, namespaces } = setUp({ sandbox });
    namespaces.host.add("/var/run/netns/s1");
    network.want(claim, one);
    await assert.rejects(network.ready(never), /pod default\/s1 uses the host's network/);
    assert.deepEqual(cni.log, []);
    assert.equal(journal.attachments.size, 0);
    await network.close();
  }
});

Deno.test("restore() does nothing by itself; want() then finishes a half-done ADD by DEL and ADD", async () => {
  const { network, cni } = setUp();
  network.restore({ claim, sandbox: network.sandbox, attachment: one[0]! });
  await settle();
  assert.deepEqual(cni.log, []);
  network.want(claim, one);
  await network.ready(never);
  assert.deepEqual(cni.log, ["DEL net1", "ADD net1"]);
});

Deno.test("restore() of an attached network attaches nothing", async () => {
  const { network, cni } = setUp();
  const attached = { result: { cniVersion: "1.0.0" }, networkData: {}, at: "2026-01-01T00:00:00Z" };
  network.restore({ claim, sandbox: network.sandbox, attachment: one[0]!, attached });
  network.want(claim, one);
  await network.ready(never);
  assert.deepEqual(cni.log, []);
});

Deno.test("operations of one sandbox never overlap, those of many run side by side up to the width", async () => {
  const shared = setUp({ width: 3 });
  shared.cni.during = () => shared.clock.sleep(100);
  const networks = Array.from({ length: 8 }, (_, i) => {
    const network = new PodAttachments(aSandbox(`s${i}`), shared, () => {});
    network.want(claim, three);
    return network;
  });
  await shared.clock.advance(10_000);
  for (const network of networks) await network.ready(never);
  assert.deepEqual(shared.cni.overlaps, []);
  assert.equal(shared.cni.mostAtOnce, 3);
});

Deno.test("close() lets the running operation finish and begins no other", async () => {
  const { network, cni, clock, journal } = setUp();
  cni.during = () => clock.sleep(1000);
  network.want(claim, three);
  await clock.advance(500);
  const closed = network.close();
  await clock.advance(5000);
  await closed;
  assert.deepEqual(cni.log, ["ADD net1"]);
  assert.ok([...journal.attachments.values()][0]?.attached);
});

Deno.test("a namespace that cannot be looked at fails the try, and not the agent", async () => {
  const { network, cni, namespaces } = setUp();
  const classify = namespaces.classify.bind(namespaces);
  namespaces.classify = () => {
    throw new Error("File name too long (os error 36)");
  };
  network.want(claim, one);
  await settle();
  await assert.rejects(network.ready(never), /: file name too long$/);
  namespaces.classify = classify;
  await network.ready(never);
  assert.deepEqual(cni.log, ["ADD net1"]);
});

const PATH = "/var/run/netns/s1";
const refusal = /the pod already has an interface net1, which this claim did not create/;

Deno.test("an interface that another plugin made is left alone: nothing is added, deleted or recorded", async () => {
  const { network, cni, journal, namespaces, clock } = setUp();
  namespaces.foreign.set(PATH, new Set(["lo", "eth0", "net1"]));
  network.want(claim, one);
  await assert.rejects(network.ready(never), refusal);
  await clock.advance(20_000);
  assert.deepEqual(cni.log, []);
  assert.equal(journal.attachments.size, 0);
  // It is attached when the other plugin has taken its interface away.
  namespaces.foreign.delete(PATH);
  await clock.advance(10_000);
  await network.ready(never);
  assert.deepEqual(cni.log, ["ADD net1"]);
});

Deno.test("a name that another plugin takes while its ADD waits for its turn is left alone", async () => {
  const limiter = new Limiter(1);
  const { network, cni, namespaces, clock, journal } = setUp({ limiter });
  const busy = Promise.withResolvers<void>();
  const other = limiter.run(() => busy.promise, { turn: () => 0, signal: never });
  network.want(claim, one);
  await settle();
  assert.equal([...journal.attachments.values()][0]?.add, "pending");
  namespaces.foreign.set(PATH, new Set(["net1"]));
  busy.resolve();
  await other;
  await assert.rejects(network.ready(never), refusal);
  assert.deepEqual(cni.log, []);
  namespaces.foreign.delete(PATH);
  await clock.advance(10_000);
  await network.ready(never);
  assert.deepEqual(cni.log, ["ADD net1"]);
  await network.close();
});

Deno.test("a name that another plugin takes between the look and ADD: DEL does not see the namespace", async () => {
  const { network, cni, namespaces } = setUp();
  cni.during = ({ command }) => {
    if (command !== "ADD") return;
    namespaces.foreign.set(PATH, new Set(["net1"]));
    throw new Error('failed to rename macvlan to "net1": file exists');
  };
  network.want(claim, one);
  await assert.rejects(network.ready(never), /file exists|already has an interface net1/);
  assert.deepEqual(cni.calls.map(({ command, runtime }) => `${command} ${runtime.netns}`), [
    `ADD ${PATH}`,
    "DEL ",
  ]);
  await network.close();
});

Deno.test("an interface that another plugin made in place of ours is lost to CHECK, and no DEL sees it", async () => {
  const { network, cni, namespaces } = setUp();
  cni.during = ({ command }) => {
    if (command === "ADD") namespaces.foreign.set(PATH, new Set(["net1"]));
  };
  network.want(claim, one);
  await network.ready(never);
  await settle();
  const [entry] = network.entries;
  cni.finding = () => ({ state: "lost", cause: "it is not as it was" });
  assert.deepEqual(await network.check(entry!, never), {
    state: "unproven",
    cause: "it is not as it was",
  });
  namespaces.index++;
  assert.equal((await network.check(entry!, never))?.state, "lost");
  network.release(claim.uid);
  await network.released(claim.uid, never);
  const { command, runtime, prevResult } = cni.calls.at(-1)!;
  assert.deepEqual([command, runtime.netns], ["DEL", ""]);
  assert.ok(prevResult);
});

Deno.test("a name that another plugin takes after an ADD failed: no DEL sees the namespace, also after a restart", async () => {
  const { network, cni, namespaces, clock, journal } = setUp();
  cni.during = ({ command }) => {
    if (command === "DEL") namespaces.foreign.set(PATH, new Set(["net1"]));
    throw new Error("the plugin is not on the node");
  };
  network.want(claim, one);
  await assert.rejects(network.ready(never), /not on the node/);
  await clock.advance(10_000);
  await network.close();
  const next = setUp();
  next.network.restore([...journal.attachments.values()][0]!);
  next.network.want(claim, one);
  await next.clock.advance(1_000);
  await next.network.close();
  const dels = [...cni.calls, ...next.cni.calls].filter(({ command }) => command === "DEL");
  assert.ok(dels.length > 2);
  assert.deepEqual(new Set(dels.map(({ runtime }) => runtime.netns)), new Set([""]));
});

Deno.test("a name that another plugin takes after a DEL failed that removed the interface: no DEL sees the namespace, also after a restart", async (t) => {
  for (const begin of ["an ADD that fails", "what an earlier run left"]) {
    await t.step(begin, async () => {
      const { network, cni, namespaces, clock, journal } = setUp();
      cni.during = ({ command }) => {
        // The ADD leaves its interface, and the first DEL takes it.
        if (command === "ADD") namespaces.foreign.set(PATH, new Set(["net1"]));
        else namespaces.foreign.delete(PATH);
        throw new Error("the plugin ends with an error");
      };
      if (begin === "what an earlier run left") {
        namespaces.foreign.set(PATH, new Set(["net1"]));
        const { sandbox } = network;
        network.restore({ claim, sandbox, attachment: one[0]!, add: "started" });
      }
      network.want(claim, one);
      await assert.rejects(network.ready(never), /ends with an error/);
      namespaces.foreign.set(PATH, new Set(["net1"]));
      cni.during = () => {
        throw new Error("the plugin is not on the node");
      };
      await clock.advance(10_000);
      await network.close();
      const next = setUp();
      next.network.restore([...journal.attachments.values()][0]!);
      next.network.want(claim, one);
      await next.clock.advance(1_000);
      await next.network.close();
      const [first, ...later] = [...cni.calls, ...next.cni.calls]
        .filter(({ command }) => command === "DEL").map(({ runtime }) => runtime.netns);
      assert.equal(first, PATH);
      assert.ok(later.length > 2);
      assert.deepEqual(new Set(later), new Set([""]));
    });
  }
});

Deno.test("that a DEL left no interface is on record before the pause that follows it, or at a later try", async () => {
  for (const disk of ["ok", "full"]) {
    const { network, cni, namespaces, clock, journal } = setUp();
    cni.during = ({ command }) => {
      if (command === "ADD") namespaces.foreign.set(PATH, new Set(["net1"]));
      else {
        namespaces.foreign.delete(PATH);
        if (disk === "full") {
          journal.before = () => {
            throw new Error("the disk is full");
          };
        }
      }
      throw new Error("the plugin ends with an error");
    };
    network.want(claim, one);
    await settle();
    const isForeign = () => [...journal.attachments.values()][0]?.foreign === true;
    assert.equal(isForeign(), disk === "ok");
    cni.during = () => {
      throw new Error("the plugin is not on the node");
    };
    journal.before = () => {};
    await clock.advance(10_000);
    assert.ok(isForeign());
    await network.close();
  }
});

Deno.test("an agent that stops still notes that a failed DEL left no interface", async () => {
  const { network, cni, namespaces, journal } = setUp();
  let closed: Promise<void> | undefined;
  cni.during = ({ command }) => {
    if (command === "ADD") namespaces.foreign.set(PATH, new Set(["net1"]));
    else {
      namespaces.foreign.delete(PATH);
      closed = network.close();
    }
    throw new Error("the plugin ends with an error");
  };
  network.want(claim, one);
  await settle();
  await closed;
  const [record] = [...journal.attachments.values()];
  assert.deepEqual([record?.addFailed, record?.foreign], [true, true]);
});

Deno.test("another plugin's interface is on record as that before the first DEL, also of a pod that ends", async () => {
  const { network, cni, clock, journal } = setUp();
  cni.during = ({ command }) => {
    if (command === "ADD") network.stop();
    throw new Error("interface net1 already exists");
  };
  network.want(claim, one);
  await clock.advance(1_000);
  const [record] = [...journal.attachments.values()];
  assert.deepEqual([record?.addFailed, record?.foreign], [true, true]);
  await network.close();
});

Deno.test("a name that another plugin takes before an ADD begins that an earlier run had on record: no DEL sees the namespace", async (t) => {
  const dying = setUp();
  const ended = new AbortController();
  // The first ADD runs as the agent dies; those of the others are on record and have not begun.
  dying.cni.during = () => dying.clock.sleep(1e9, ended.signal).catch(() => {});
  dying.network.want(claim, three);
  await settle();
  const records = structuredClone([...dying.journal.attachments.values()]);
  ended.abort();
  await dying.network.close();
  assert.deepEqual(records.map(({ add }) => add), ["started", "pending", "pending"]);
  for (const name of ["net1", "net2"]) {
    await t.step(name, async () => {
      const { network, cni, namespaces } = setUp();
      namespaces.foreign.set(PATH, new Set([name]));
      network.restore(records.find(({ attachment }) => attachment.ifName === name)!);
      cni.during = ({ command }) => {
        if (command === "DEL" && name === "net1") namespaces.foreign.delete(PATH);
      };
      network.want(claim, three.filter(({ ifName }) => ifName === name));
      const opens = await network.ready(never).then(() => true, () => false);
      const namespace = cni.calls[0]!.runtime.netns;
      // What an ADD may have left is taken away; what no ADD has made is left alone.
      assert.deepEqual([opens, namespace], name === "net1" ? [true, PATH] : [false, ""]);
      await network.close();
    });
  }
});

Deno.test("an ADD that follows one that failed is on record anew: what it leaves is ours after a restart", async () => {
  const { network, cni, clock, journal } = setUp();
  let plugins: "missing" | "there" = "missing";
  cni.during = () => {
    if (plugins === "missing") throw new Error("the plugin is not on the node");
  };
  network.want(claim, one);
  await clock.advance(1_000);
  // The record says that ADD has failed, and left no interface.
  assert.equal([...journal.attachments.values()][0]?.foreign, true);
  plugins = "there";
  journal.before = (change) => {
    if (change === "putResult") throw new Error("the agent dies here");
  };
  await clock.advance(10_000);
  assert.deepEqual([...cni.attached], ["s1/net1"]);
  const [record] = [...journal.attachments.values()];
  assert.deepEqual([record?.add, record?.foreign], ["started", undefined]);
  await network.close();
  const next = setUp();
  next.cni.attached.add("s1/net1");
  next.network.restore(record!);
  next.network.want(claim, one);
  await next.network.ready(never);
  assert.deepEqual(next.cni.log, ["DEL net1", "ADD net1"]);
  assert.equal(next.cni.calls[0]?.runtime.netns, PATH);
  await next.network.close();
});

Deno.test("a repair whose result is not on disk is on record as one: after a restart the claim's status may tell of what was lost", async () => {
  const { network, cni, clock, journal } = setUp();
  network.want(claim, one);
  await network.ready(never);
  await settle();
  journal.before = (change) => {
    if (change === "putResult") throw new Error("the agent dies here");
  };
  network.markLost(network.entries[0]!, {
    reason: "NetworkInterfaceLost",
    message: "",
    repair: true,
  });
  await clock.advance(1_000);
  assert.deepEqual(cni.log, ["ADD net1", "DEL net1", "ADD net1"]);
  const [record] = [...journal.attachments.values()];
  assert.deepEqual([record?.add, record?.repair], ["started", true]);
  await network.close();
  const next = setUp();
  let recalled: AttachmentRecord | undefined;
  next.recalls.current = (asked) => {
    recalled = asked;
    return Promise.resolve(undefined);
  };
  next.network.restore(record!);
  next.network.containersStarted();
  next.network.want(claim, one);
  await next.network.ready(never);
  assert.equal(recalled?.repair, true);
  assert.deepEqual(next.cni.log, ["DEL net1", "ADD net1"]);
  await next.network.close();
});

Deno.test("a record that does not say whether ADD has begun is that of an ADD that may have", async () => {
  const { network, cni } = setUp();
  network.restore({ claim, sandbox: network.sandbox, attachment: one[0]! });
  network.want(claim, one);
  await network.ready(never);
  assert.equal(cni.calls[0]?.runtime.netns, PATH);
  await network.close();
});

Deno.test("a route that exists is not an interface that exists: DEL sees the namespace", async () => {
  const { network, cni, namespaces } = setUp();
  cni.during = ({ command }) => {
    if (command !== "ADD") return;
    namespaces.foreign.set(PATH, new Set(["net1"]));
    throw new Error("failed to add route 10.0.0.0/8 dev net1: file exists");
  };
  network.want(claim, one);
  await assert.rejects(network.ready(never), /file exists/);
  assert.equal(cni.calls[1]?.runtime.netns, PATH);
  await network.close();
});

Deno.test("a repair looks at the name again: what took it meanwhile is left alone, and the record goes", async () => {
  const { network, cni, journal, namespaces, clock } = setUp();
  network.want(claim, one);
  await network.ready(never);
  await settle();
  const [entry] = network.entries;
  cni.during = ({ command }) => {
    if (command === "DEL") namespaces.foreign.set(PATH, new Set(["net1"]));
  };
  network.markLost(entry!, { reason: "NetworkInterfaceLost", message: "", repair: true });
  await clock.advance(1_000);
  assert.deepEqual(cni.log, ["ADD net1", "DEL net1"]);
  assert.equal(journal.attachments.size, 0);
  assert.match(network.entries[0]!.failure!.error.message, refusal);
  await network.close();
});

Deno.test("where the state was lost, running containers keep what is in the pod", async () => {
  const { network, cni, journal, namespaces } = setUp();
  namespaces.foreign.set(PATH, new Set(["net1"]));
  network.containersStarted();
  network.want(claim, one);
  await assert.rejects(network.ready(never), refusal);
  assert.deepEqual(cni.log, []);
  assert.equal(journal.attachments.size, 0);
  network.stop();
  await network.released(claim.uid, never);
  assert.deepEqual(cni.log, []);
});

Deno.test("that ADD has failed is on record: after a restart a hopeless DEL is given up too", async () => {
  const before = setUp();
  before.cni.during = () => {
    throw new Error("it never works");
  };
  before.network.want(claim, one);
  await settle();
  await before.network.close();
  const [record] = [...before.journal.attachments.values()];
  assert.equal(record?.addFailed, true);

  const { network, cni, clock, metrics } = setUp();
  cni.during = before.cni.during;
  network.restore(record!);
  network.stop();
  await clock.advance(31 * 60_000);
  assert.deepEqual(network.entries, []);
  assert.deepEqual(metrics.counted, ["forgotten never_attached"]);
});

Deno.test("an ADD that began before a restart, of which nothing else is known, does not keep a hopeless DEL for ever", async () => {
  const { network, cni, clock, metrics, journal } = setUp();
  cni.during = () => {
    throw new Error("it never works");
  };
  const record = { claim, attachment: one[0]!, sandbox: network.sandbox };
  await journal.putAttachment(record);
  network.restore(record);
  network.stop();
  await clock.advance(29 * 60_000);
  assert.equal(network.entries.length, 1);
  await clock.advance(2 * 60_000);
  assert.deepEqual(network.entries, []);
  assert.equal(journal.attachments.size, 0);
  assert.deepEqual(metrics.counted, ["forgotten never_attached"]);
});

Deno.test("a clock that is set back makes a hopeless DEL be tried no longer", async () => {
  const { network, cni, clock, metrics } = setUp();
  cni.during = () => {
    throw new Error("it never works");
  };
  network.want(claim, one);
  await settle();
  network.stop();
  await clock.advance(10 * 60_000);
  clock.set(-86_400_000);
  await clock.advance(21 * 60_000);
  assert.deepEqual(network.entries, []);
  assert.deepEqual(metrics.counted, ["forgotten never_attached"]);
});

Deno.test("check() of a pod whose namespace cannot be looked at does not take the network for lost", async () => {
  const { network, cni, namespaces } = setUp();
  network.want(claim, one);
  await network.ready(never);
  await settle();
  cni.finding = () => {
    namespaces.classify = () => {
      throw new Error("too many open files");
    };
    return { state: "lost", cause: "no such link" };
  };
  assert.deepEqual(await network.check(network.entries[0]!, never), {
    state: "unknown",
    cause: "too many open files",
  });
  await network.close();
});

Deno.test("an ADD that ran no plugin leaves nothing: what has its name is another's", async () => {
  const { network, cni, namespaces, journal, clock } = setUp();
  cni.beforeAdd = () => {
    cni.beforeAdd = () => {};
    // Meanwhile another plugin makes an interface of this name.
    namespaces.foreign.set(PATH, new Set(["net1"]));
    throw new Error("no address is free");
  };
  network.want(claim, one);
  await assert.rejects(network.ready(never), /no address is free/);
  assert.deepEqual(cni.calls, []);
  assert.equal(journal.attachments.size, 0);
  namespaces.foreign.delete(PATH);
  await clock.advance(10_000);
  await network.ready(never);
  assert.deepEqual(cni.log, ["ADD net1"]);
  await network.close();
});

Deno.test("an ADD that ran no plugin, and whose record the disk kept, goes on from that", async () => {
  const { network, cni, journal, clock } = setUp();
  cni.beforeAdd = () => {
    cni.beforeAdd = () => {};
    throw new Error("no address is free");
  };
  journal.before = (change) => {
    if (change === "removeAttachment") throw new Error("read-only file system");
  };
  network.want(claim, one);
  await assert.rejects(network.ready(never), /no address is free/);
  await clock.advance(10_000);
  await network.ready(never);
  assert.deepEqual(cni.log, ["ADD net1"]);
  await network.close();
});

Deno.test("a name that another plugin takes while its ADD waits for an address is left alone", async () => {
  const { network, cni, namespaces, journal } = setUp();
  const address = Promise.withResolvers<void>();
  cni.beforeAdd = () => address.promise;
  network.want(claim, one);
  await settle();
  // An agent that dies here has begun nothing: the next one looks whose the interface is.
  assert.equal([...journal.attachments.values()][0]?.add, "pending");
  namespaces.foreign.set(PATH, new Set(["net1"]));
  address.resolve();
  await assert.rejects(network.ready(never), refusal);
  assert.deepEqual(cni.calls, []);
  await network.close();
});
