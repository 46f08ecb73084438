/** What the agent makes of what it finds after a crash, and does by itself. */
import assert from "node:assert/strict";
import {
  aSandbox,
  FakeCni,
  FakeJournal,
  fakePorts,
  settle,
} from "../../tests/support/agent_fakes.ts";
import { Agent, type UpkeepOptions } from "./agent.ts";
import type { DeviceStatus } from "./model.ts";

const driver = "dra.networking";
const never = new AbortController().signal;

interface ClaimOptions {
  readonly pod?: string;
  readonly uid?: string;
  readonly network?: Record<string, unknown>;
}

function aClaim(name: string, { pod = "p", uid = `uid-${name}`, network = {} }: ClaimOptions = {}) {
  const plugins = [{ type: "macvlan" }];
  const config = { cniVersion: "1.0.0", name: `network-${name}`, plugins, ...network };
  const owner = { kind: "Pod", name: pod, uid: `uid-${pod}`, controller: true };
  const opaque = { driver, parameters: { interface: "net1", config } };
  return {
    metadata: { namespace: "default", name, uid, ownerReferences: [owner] },
    status: {
      allocation: {
        devices: {
          results: [{ request: "net", driver, pool: "node", device: "cni" }],
          config: [{ source: "FromClaim", requests: ["net"], opaque }],
        },
      },
      reservedFor: [{ resource: "pods", name: pod, uid: `uid-${pod}` }],
    },
  };
}

type World = ReturnType<typeof world>;

/** What survives the agent. */
function world() {
  const { cni, cluster, journal, namespaces, cdi, clock, devices, networks, node } = fakePorts();
  return { cni, cluster, journal, namespaces, cdi, clock, devices, networks, node };
}

/** An agent in a world, which may be that of one before it. */
function setUp(from: World = world()) {
  const ports = { ...fakePorts(), ...from };
  const agent = new Agent(ports, { driver, concurrency: 4, policy: { trustClaims: true } });
  const prepare = async (...claims: ReturnType<typeof aClaim>[]) => {
    for (const claim of claims) {
      const { namespace, name, uid } = claim.metadata;
      from.cluster.claims.set(`default/${name}`, claim);
      const answers = await agent.prepare([{ namespace, name, uid }], never);
      assert.equal(answers.get(uid)?.error, undefined);
    }
  };
  const gate = (id: string, pod = "p") =>
    agent.gate(aSandbox(id, pod), { cdiDevices: [], signal: never });
  const end = new AbortController();
  const upkeep = (options: Partial<UpkeepOptions> = {}) =>
    agent.upkeep({ interval: 60_000, repair: false, gcNetworks: [], ...options }, end.signal);
  const stop = async (running?: Promise<void>) => {
    end.abort();
    await running;
    await agent.close();
  };
  return { ...ports, world: from, agent, prepare, gate, upkeep, stop };
}

const ref = (name: string) => ({ namespace: "default", name, uid: `uid-${name}` });

/** An agent that died with the network attached and no result on disk, and after it wrote the status. */
async function crashedWithoutResult(): Promise<World> {
  const before = setUp();
  await before.prepare(aClaim("a"));
  before.journal.before = (change) => {
    if (change === "putResult") throw new Error("no space left on device");
  };
  before.agent.attach(aSandbox("s1", "p"));
  await assert.rejects(before.gate("s1"), /no space left on device/);
  await before.clock.advance(600);
  const written = before.cluster.applied.get("uid-a");
  assert.equal(written?.[0]?.conditions[0]?.status, "True");
  setStatus(before.world, written);
  await before.agent.close();
  before.journal.before = () => {};
  before.cni.calls.length = 0;
  return before.world;
}

/** As the API server has it. */
function setStatus({ cluster }: World, devices: readonly DeviceStatus[] | undefined): void {
  const claim = cluster.claims.get("default/a") as ReturnType<typeof aClaim>;
  cluster.claims.set("default/a", { ...claim, status: { ...claim.status, devices } });
}

Deno.test("a result that the disk did not take is recalled from the claim: nothing is taken from running containers", async () => {
  const left = await crashedWithoutResult();
  const { agent, cni, clock, journal, cluster, events, stop } = setUp(left);
  await agent.load();
  await clock.advance(2_000);
  // What the claim says is all that tells: it is not written over before it was read.
  const { applies } = cluster;
  await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
  await settle();
  assert.deepEqual(cni.log, ["CHECK net1"]);
  const [record] = [...journal.attachments.values()];
  assert.deepEqual(record?.attached, {
    result: { cniVersion: "1.0.0", interfaces: [{ name: "net1", sandbox: "/var/run/netns/s1" }] },
    networkData: { interfaceName: "net1", ips: ["10.0.0.2/24"] },
    at: "2026-01-01T00:00:00.000Z",
  });
  assert.deepEqual(events.lines, []);
  await clock.advance(600);
  assert.equal(cluster.applies, applies + 1);
  assert.equal(cluster.applied.get("uid-a")?.[0]?.conditions[0]?.status, "True");
  agent.detach("s1");
  await settle();
  assert.ok(cni.calls.at(-1)?.prevResult);
  await stop();
});

Deno.test("a result is recalled for its own sandbox, while CHECK finds it whole, and else made anew, late", async (t) => {
  const cases: Record<string, (left: World) => void> = {
    "CHECK finds it damaged": ({ cni }) => {
      cni.finding = () => ({ state: "lost", cause: "no address" });
    },
    "the claim says nothing of it": (left) => setStatus(left, undefined),
    "the claim tells of another sandbox": (left) => {
      const [device] = left.cluster.applied.get("uid-a")!;
      const interfaces = [{ name: "net1", sandbox: "/var/run/netns/other" }];
      setStatus(left, [{ ...device!, data: { cniVersion: "1.0.0", interfaces } }]);
    },
    "the claim is another by now": ({ cluster }) => {
      cluster.claims.set("default/a", aClaim("a", { uid: "uid-new" }));
    },
    "the claim is gone": ({ cluster }) => void cluster.claims.delete("default/a"),
  };
  for (const [name, change] of Object.entries(cases)) {
    await t.step(name, async () => {
      const left = await crashedWithoutResult();
      change(left);
      const { agent, cni, clock, events, stop } = setUp(left);
      await agent.load();
      await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
      await clock.advance(1_000);
      assert.deepEqual(cni.log.filter((call) => call !== "CHECK net1"), ["DEL net1", "ADD net1"]);
      assert.match(events.lines.join(), /^NetworkAttachedLate Pod\/p: containers started without/);
      await stop();
    });
  }
});

Deno.test("an ADD that succeeded at its second try, and whose result the disk did not take, is recalled from the claim", async () => {
  const before = setUp();
  await before.prepare(aClaim("a"));
  // Neither the first ADD nor the DEL that follows it succeeds.
  let failures = 2;
  before.cni.during = () => {
    if (failures-- > 0) throw new Error("the plugin is busy");
  };
  before.journal.before = (change) => {
    if (change === "putResult") throw new Error("no space left on device");
  };
  before.agent.attach(aSandbox("s1", "p"));
  await before.clock.advance(3_000);
  assert.deepEqual(before.cni.log, ["ADD net1", "DEL net1", "DEL net1", "ADD net1"]);
  setStatus(before.world, before.cluster.applied.get("uid-a"));
  await before.agent.close();
  before.journal.before = () => {};
  before.cni.calls.length = 0;
  const { agent, cni, stop } = setUp(before.world);
  await agent.load();
  await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
  await settle();
  assert.deepEqual(cni.log, ["CHECK net1"]);
  assert.equal(agent.counts().attachments.attached, 1);
  await stop();
});

Deno.test("a CHECK that fails once takes nothing from running containers", async () => {
  const left = await crashedWithoutResult();
  let looks = 0;
  left.cni.finding = () =>
    ++looks === 1 ? { state: "lost", cause: "iptables is busy" } : { state: "intact" };
  const { agent, cni, clock, stop } = setUp(left);
  await agent.load();
  await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
  await clock.advance(1_000);
  assert.deepEqual(cni.log, ["CHECK net1", "CHECK net1"]);
  await stop();
});

Deno.test("a CHECK that never succeeds takes nothing from running containers whose interface is there", async () => {
  const left = await crashedWithoutResult();
  left.cni.finding = () => ({ state: "lost", cause: "it never is as CHECK wants it" });
  left.namespaces.foreign.set("/var/run/netns/s1", new Set(["net1"]));
  const { agent, cni, clock, stop } = setUp(left);
  await agent.load();
  await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
  await clock.advance(2_000);
  assert.deepEqual(cni.log, ["CHECK net1", "CHECK net1"]);
  assert.equal(agent.counts().attachments.attached, 1);
  await stop();
});

Deno.test("what the claim tells of an interface with another hardware address is of an earlier ADD", async () => {
  const left = await crashedWithoutResult();
  const [device] = left.cluster.applied.get("uid-a")!;
  for (const [mac, calls] of [["02:00:00:00:00:AA", 1], ["02:00:00:00:00:bb", 2]] as const) {
    left.namespaces.foreign.set("/var/run/netns/s1", new Set(["net1"]));
    left.namespaces.mac = "02:00:00:00:00:aa";
    const interfaces = [{ name: "net1", sandbox: "/var/run/netns/s1", mac }];
    setStatus(left, [{ ...device!, data: { cniVersion: "1.0.0", interfaces } }]);
    const world = { ...left, journal: new FakeJournal(), cni: new FakeCni() };
    for (const record of (await left.journal.load()).claims) await world.journal.putClaim(record);
    for (const record of (await left.journal.load()).attachments) {
      await world.journal.putAttachment(record);
    }
    world.cni.finding = () => ({ state: "intact" });
    world.cni.during = ({ command }) => {
      if (command === "DEL") left.namespaces.foreign.clear();
    };
    const { agent, cni, clock, stop } = setUp(world);
    await agent.load();
    await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
    await clock.advance(1_000);
    assert.deepEqual(cni.log, calls === 1 ? ["CHECK net1"] : ["DEL net1", "ADD net1"]);
    await stop();
  }
});

Deno.test("of a record that cannot be read, running containers keep what the claim tells", async (t) => {
  for (const started of [true, false]) {
    await t.step(started ? "with containers" : "without containers: made anew", async () => {
      const left = await crashedWithoutResult();
      left.journal.attachments.clear();
      left.journal.unreadable.push("uid-a");
      const { agent, cni, clock, journal, cluster, stop } = setUp(left);
      await agent.load();
      await clock.advance(2_000);
      const { applies } = cluster;
      await agent.reconcile([aSandbox("s1", "p")], new Set(started ? ["s1"] : []));
      await settle();
      assert.deepEqual(cni.log, started ? ["CHECK net1"] : ["DEL net1", "ADD net1"]);
      const [record] = [...journal.attachments.values()];
      assert.ok(record?.attached);
      await clock.advance(600);
      assert.equal(cluster.applies, applies + 1);
      agent.detach("s1");
      await settle();
      assert.equal(cni.log.at(-1), "DEL net1");
      assert.equal(journal.attachments.size, 0);
      await stop();
    });
  }
});

Deno.test("the record of a claim that cannot be read is rebuilt from its attachments", async () => {
  const before = setUp();
  await before.prepare(aClaim("a"));
  before.agent.attach(aSandbox("s1", "p"));
  await before.gate("s1");
  await before.clock.advance(600);
  await before.agent.close();
  const written = before.journal.claims.get("uid-a")!;
  before.journal.claims.clear();
  const { agent, cni, cdi, clock, cluster, journal, stop } = setUp(before.world);
  const { applies } = cluster;
  await agent.load();
  assert.deepEqual(journal.claims.get("uid-a"), { ...written, shareable: true });
  await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
  await clock.advance(600);
  // Containers that are recreated still find their CDI device, and the claim is told of.
  assert.deepEqual(cdi.shown, ["uid-a+"]);
  assert.equal(cluster.applies, applies + 1);
  assert.deepEqual(cni.log, ["ADD net1"]);
  agent.detach("s1");
  const unprepared = await agent.unprepare(
    [{ namespace: "default", name: "a", uid: "uid-a" }],
    never,
  );
  assert.deepEqual(unprepared.get("uid-a"), {});
  assert.equal(journal.claims.size + journal.attachments.size, 0);
  await stop();
});

Deno.test("while it cannot be told whether running containers have their network, it is left alone", async (t) => {
  const faults: Record<string, (left: World) => () => void> = {
    "the API server is away": ({ cluster }) => {
      cluster.during = () => {
        throw new Error("connection refused");
      };
      return () => cluster.during = () => {};
    },
    "the plugin is being replaced": ({ cni }) => {
      const { finding } = cni;
      cni.finding = () => ({ state: "unknown", cause: "text file busy" });
      return () => cni.finding = finding;
    },
  };
  for (const [name, fault] of Object.entries(faults)) {
    await t.step(name, async () => {
      const left = await crashedWithoutResult();
      const mend = fault(left);
      const { agent, cni, clock, events, stop } = setUp(left);
      await agent.load();
      await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
      await clock.advance(60_000);
      assert.ok(cni.log.every((call) => call === "CHECK net1"), cni.log.join());
      assert.match(events.lines.join(), /cannot tell yet what an earlier run of the agent left/);
      mend();
      await clock.advance(10_000);
      assert.ok(cni.log.every((call) => call === "CHECK net1"), cni.log.join());
      assert.equal(agent.counts().attachments.attached, 1);
      await stop();
    });
  }
});

Deno.test("half-done ADD without containers: made anew without asking anyone", async () => {
  const left = await crashedWithoutResult();
  const { agent, cni, cluster, events, stop } = setUp(left);
  const { reads } = cluster;
  await agent.load();
  await agent.reconcile([aSandbox("s1", "p")], new Set());
  await settle();
  assert.deepEqual(cni.log, ["DEL net1", "ADD net1"]);
  assert.equal(cluster.reads, reads);
  assert.deepEqual(events.lines, []);
  await stop();
});

Deno.test("half-done ADD on a disk that takes nothing: the pod gets its network, and starts, when the disk takes it", async () => {
  const left = await crashedWithoutResult();
  left.journal.before = () => {
    throw new Error("no space left on device");
  };
  const { agent, cni, clock, gate, stop } = setUp(left);
  await agent.load();
  await agent.reconcile([aSandbox("s1", "p")], new Set());
  await assert.rejects(gate("s1"), /no space left on device/);
  left.journal.before = () => {};
  await clock.advance(1_000);
  await gate("s1");
  assert.deepEqual([...cni.attached], ["s1/net1"]);
  await stop();
});

Deno.test("after a reboot: what was attached is detached without a namespace, and attached to the new sandboxes", async () => {
  const before = setUp();
  await before.prepare(aClaim("a"), aClaim("b", { pod: "q" }));
  for (const [id, pod] of [["s1", "p"], ["s2", "q"]] as const) {
    before.agent.attach(aSandbox(id, pod));
    await before.gate(id, pod);
  }
  await before.agent.close();
  before.cni.calls.length = 0;
  before.namespaces.gone.add("/var/run/netns/s1").add("/var/run/netns/s2");
  before.cdi.specs.clear();
  before.cdi.attached.clear();
  const { agent, cni, gate, cdi, journal, stop } = setUp(before.world);
  await agent.load();
  // Some runtimes still list sandboxes that ended with the node.
  await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
  await settle();
  assert.deepEqual(
    cni.calls.map(({ command, runtime }) => [command, runtime.containerID, runtime.netns]),
    [["DEL", "s1", ""], ["DEL", "s2", ""]],
  );
  assert.equal(journal.attachments.size, 0);
  agent.attach(aSandbox("s3", "p"));
  await gate("s3");
  assert.deepEqual([...cni.attached], ["s3/net1"]);
  assert.deepEqual(cdi.shown, ["uid-a+", "uid-b"]);
  await stop();
});

Deno.test("a sandbox that went without a word is detached", async (t) => {
  for (const how of ["when its pod has a new one", "when its namespace is found gone"]) {
    await t.step(how, async () => {
      const { agent, cni, clock, namespaces, prepare, gate, stop } = setUp();
      await prepare(aClaim("a"));
      agent.attach(aSandbox("s1", "p"));
      await gate("s1");
      await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
      const end = new AbortController();
      const upkeep = agent.upkeep({ interval: 0, repair: false, gcNetworks: [] }, end.signal);
      await clock.advance(10_000);
      assert.deepEqual(cni.log, ["ADD net1"]);
      namespaces.gone.add(aSandbox("s1", "p").netns!);
      if (how === "when its pod has a new one") {
        agent.attach(aSandbox("s2", "p"));
        await settle();
        assert.deepEqual(cni.log.toSorted(), ["ADD net1", "ADD net1", "DEL net1"]);
      } else {
        await clock.advance(5_000);
        assert.deepEqual(cni.log, ["ADD net1", "DEL net1"]);
      }
      assert.equal(cni.calls.find(({ command }) => command === "DEL")?.runtime.containerID, "s1");
      end.abort();
      await upkeep;
      await stop();
    });
  }
});

Deno.test("a claim that the API server no longer has is released, unless a sandbox uses it", async () => {
  const { agent, prepare, gate, cluster, journal, clock, metrics, log, cdi, upkeep, stop } =
    setUp();
  await prepare(
    aClaim("unused", { pod: "p1" }),
    aClaim("used", { pod: "p2" }),
    aClaim("there", { pod: "p3" }),
    aClaim("anew", { pod: "p4" }),
  );
  agent.attach(aSandbox("s2", "p2"));
  await gate("s2", "p2");
  const running = upkeep();
  for (const name of ["unused", "used", "anew"]) cluster.claims.delete(`default/${name}`);
  cluster.claims.set("default/anew", aClaim("anew", { uid: "uid-other" }));
  await clock.advance(60_000);
  // Not before the runtime has said which sandboxes live.
  assert.equal(journal.claims.size, 4);
  await agent.reconcile([aSandbox("s2", "p2")], new Set(["s2"]));
  await settle();
  assert.equal(journal.claims.size, 4);
  await clock.advance(5_000);
  assert.deepEqual([...journal.claims.keys()].toSorted(), ["uid-there", "uid-used"]);
  assert.deepEqual(metrics.counted.filter((line) => line.startsWith("forgotten")), [
    "forgotten claim_gone",
    "forgotten claim_gone",
  ]);
  assert.ok(log.lines.some((line) => /claim default\/unused .* is gone from the API/.test(line)));
  // Once its pod is gone, that claim goes too, within little more than a minute.
  agent.detach("s2");
  await clock.advance(70_000);
  assert.deepEqual([...journal.claims.keys()], ["uid-there"]);
  // A sandbox of its pod may still come.
  assert.deepEqual(cdi.shown, ["uid-there"]);
  await stop(running);
});

Deno.test("an API server that does not answer, or answers otherwise the second time, releases nothing", async () => {
  const { agent, prepare, cluster, journal, clock, upkeep, stop } = setUp();
  const claim = aClaim("a");
  await prepare(claim);
  const running = upkeep();
  cluster.during = () => {
    throw new Error("connection refused");
  };
  await agent.reconcile([], new Set());
  await clock.advance(400_000);
  cluster.during = () => {};
  cluster.claims.clear();
  const { reads } = cluster;
  while (cluster.reads === reads) await clock.advance(1_000);
  cluster.claims.set("default/a", claim);
  await clock.advance(20_000);
  assert.equal(journal.claims.size, 1);
  await stop(running);
});

Deno.test("a plugin that is gone for good does not hold the pod up for ever", async () => {
  const { agent, prepare, gate, cni, journal, clock, events, metrics, namespaces, stop } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate("s1");
  const problem = "macvlan is in none of the folders /opt/cni/bin";
  cni.during = ({ runtime }) => {
    if (runtime.netns !== "") throw new Error(problem);
    throw new Error(`${problem}; host-local did its part`);
  };
  agent.detach("s1");
  // A plugin that is there may work again: the pod waits for it, however long that is.
  await clock.advance(31 * 60_000);
  assert.match((await answer()).error!, /is still attached: macvlan is in none of the folders/);
  assert.equal(journal.attachments.size, 1);
  cni.missing.add("macvlan");
  await clock.advance(10_000);
  assert.equal(journal.attachments.size, 0);
  assert.equal(namespaces.held.size, 0);
  assert.equal(cni.calls.at(-1)?.runtime.netns, "");
  const told = 'gave up detaching network "network-a" (interface net1, claim default/a): an ' +
    "address or an interface of it may be left on the node: " + problem +
    "; host-local did its part";
  const forgotten = events.lines.filter((line) => line.startsWith("NetworkForgotten"));
  assert.deepEqual(forgotten, [
    `NetworkForgotten Pod/p: ${told}`,
    `NetworkForgotten ResourceClaim/a: ${told}`,
  ]);
  assert.ok(metrics.counted.includes("forgotten plugin_missing"));
  assert.deepEqual(await answer(), {});
  assert.equal(journal.claims.size, 0);
  await stop();

  async function answer() {
    const answers = agent.unprepare([ref("a")], never);
    await clock.advance(41_000);
    return (await answers).get("uid-a")!;
  }
});

Deno.test("what was never attached does not hold the pod up for ever, although its DEL fails", async () => {
  const { agent, prepare, gate, cni, journal, clock, events, metrics, namespaces, stop } = setUp();
  await prepare(aClaim("a"));
  cni.during = () => {
    throw new Error("burst must also be set");
  };
  agent.attach(aSandbox("s1", "p"));
  await assert.rejects(gate("s1"), /burst must also be set/);
  agent.detach("s1");
  await clock.advance(29 * 60_000);
  assert.equal(journal.attachments.size, 1);
  await clock.advance(2 * 60_000);
  assert.equal(journal.attachments.size, 0);
  assert.equal(namespaces.held.size, 0);
  assert.equal(cni.calls.at(-1)?.runtime.netns, "");
  const told = events.lines.filter((line) => line.startsWith("NetworkForgotten"));
  assert.equal(told.length, 2);
  assert.match(told[0]!, /gave up detaching network "network-a" .*: burst must also be set$/);
  assert.ok(metrics.counted.includes("forgotten never_attached"));
  assert.deepEqual((await agent.unprepare([ref("a")], never)).get("uid-a"), {});
  await stop();
});

Deno.test("what was attached at its second try is waited for", async () => {
  const { agent, prepare, gate, cni, journal, clock, stop } = setUp();
  await prepare(aClaim("a"));
  const fail = () => {
    throw new Error("no DHCP server");
  };
  cni.during = fail;
  agent.attach(aSandbox("s1", "p"));
  await assert.rejects(gate("s1"), /no DHCP server/);
  cni.during = () => {};
  await gate("s1");
  cni.during = fail;
  agent.detach("s1");
  await clock.advance(60 * 60_000);
  assert.equal(journal.attachments.size, 1);
  cni.during = () => {};
  await clock.advance(10_000);
  assert.equal(journal.attachments.size, 0);
  await stop();
});

Deno.test("a plugin that is missing for a while is waited for", async () => {
  const { agent, prepare, gate, cni, clock, events, metrics, stop } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate("s1");
  cni.missing.add("macvlan");
  cni.during = () => {
    throw new Error("macvlan is in none of the folders");
  };
  agent.detach("s1");
  await clock.advance(29 * 60_000);
  cni.missing.clear();
  cni.during = () => {};
  await clock.advance(10_000);
  assert.equal(cni.attached.size, 0);
  assert.equal(cni.calls.at(-1)?.runtime.netns, "held:/var/run/netns/s1");
  assert.ok(!events.lines.some((line) => line.startsWith("NetworkForgotten")));
  assert.ok(!metrics.counted.some((line) => line.startsWith("forgotten")));
  await stop();
});

Deno.test("forget() lets go what cannot be detached, and says what may be left", async () => {
  const { agent, prepare, gate, cni, journal, clock, cdi, metrics, stop } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate("s1");
  await assert.rejects(
    agent.forget("default/a", never),
    /claim default\/a \(UID uid-a\) is in use by pod default\/p: delete the pod first/,
  );
  await assert.rejects(agent.forget("default/x", never), /no claim "default\/x" is known/);
  cni.during = () => {
    throw new Error("no DHCP daemon");
  };
  agent.detach("s1");
  const waiting = agent.unprepare([ref("a")], never);
  await clock.advance(1_000);
  const forgotten = agent.forget("uid-a", never);
  await clock.advance(1_000);
  assert.match(
    await forgotten,
    /^forgot claim default\/a \(UID uid-a\)\ngave up detaching network "network-a" .*no DHCP daemon$/,
  );
  assert.deepEqual((await waiting).get("uid-a"), {});
  assert.equal(journal.claims.size + journal.attachments.size + cdi.shown.length, 0);
  assert.ok(metrics.counted.includes("forgotten asked"));
  assert.deepEqual((await agent.unprepare([ref("a")], never)).get("uid-a"), {});
  await stop();
});

Deno.test("forget() lets go what the kubelet has unprepared, although the stop of its sandbox never came", async () => {
  const { agent, prepare, gate, cni, journal, clock, stop } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate("s1");
  cni.during = () => {
    throw new Error("no DHCP daemon");
  };
  const waiting = agent.unprepare([ref("a")], never);
  await clock.advance(41_000);
  assert.ok((await waiting).get("uid-a")?.error);
  await agent.forget("default/a", never);
  assert.equal(journal.claims.size + journal.attachments.size, 0);
  await stop();
});

Deno.test("forget() of a name that several claims had asks which is meant", async () => {
  const { agent, prepare, journal, stop } = setUp();
  await prepare(aClaim("a", { uid: "uid-1" }));
  await prepare(aClaim("a", { uid: "uid-2", pod: "q", network: { name: "other" } }));
  await assert.rejects(
    agent.forget("default/a", never),
    /several claims .* give the UID of one: uid-1, uid-2$/,
  );
  await agent.forget("uid-1", never);
  assert.deepEqual([...journal.claims.keys()], ["uid-2"]);
  await stop();
});

Deno.test("GC names what is attached and what may be, of the networks that are ours alone", async () => {
  const { agent, prepare, gate, cni, clock, metrics, upkeep, stop } = setUp();
  const network = { cniVersion: "1.1.0", name: "lan" };
  await prepare(
    aClaim("a", { network }),
    aClaim("b", { pod: "q", network }),
    aClaim("c", { pod: "r", network: { ...network, plugins: [{ type: "bridge" }] } }),
    aClaim("d", { pod: "s", network: { ...network, name: "cluster" } }),
    aClaim("e", { pod: "t", network: { cniVersion: "1.0.0", name: "old" } }),
  );
  for (const pod of ["p", "s", "t"]) {
    agent.attach(aSandbox(`sandbox-${pod}`, pod));
    await gate(`sandbox-${pod}`, pod);
  }
  cni.during = ({ command }) => {
    if (command === "ADD") throw new Error("no address left");
    if (command === "DEL") throw new Error("busy");
  };
  agent.attach(aSandbox("half", "q"));
  await settle();
  const collected: unknown[] = [];
  cni.collecting = ({ name, plugins }, valid) =>
    void collected.push([name, plugins[0]!.type, ...valid.map(({ containerID }) => containerID)]);
  const running = upkeep({ gcNetworks: ["lan", "old", "unknown"] });
  await settle();
  assert.deepEqual(collected, []);
  const living = [["sandbox-p", "p"], ["sandbox-s", "s"], ["sandbox-t", "t"], ["half", "q"]];
  await agent.reconcile(living.map(([id, pod]) => aSandbox(id!, pod)), new Set());
  await clock.advance(30_000);
  const expected = [
    ["lan", "macvlan", "sandbox-p", "half"],
    ["lan", "bridge", "sandbox-p", "half"],
  ];
  assert.deepEqual(collected, expected);
  await clock.advance(600_000);
  assert.deepEqual(collected, [...expected, ...expected]);
  assert.equal(metrics.counted.filter((line) => line === "collected ok").length, 4);
  await stop(running);
});

Deno.test("GC keeps what may be attached of which the record cannot be read", async () => {
  const before = setUp();
  const network = { cniVersion: "1.1.0", name: "lan" };
  await before.prepare(aClaim("a", { network }));
  before.agent.attach(aSandbox("s1", "p"));
  await before.gate("s1");
  await before.agent.close();
  before.journal.attachments.clear();
  before.journal.unreadable.push("uid-a");
  const { agent, cni, clock, journal, upkeep, stop } = setUp(before.world);
  journal.before = () => {
    throw new Error("read-only file system");
  };
  const collected: unknown[] = [];
  cni.collecting = (_, valid) =>
    void collected.push(...valid.map(({ containerID, ifname }) => `${containerID}/${ifname}`));
  await agent.load();
  const running = upkeep({ gcNetworks: ["lan"], interval: 0 });
  await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
  await clock.advance(1_000);
  assert.deepEqual(collected, ["s1/net1"]);
  await stop(running);
});

Deno.test("GC keeps what running pods have of which the records were lost", async () => {
  const { agent, cni, clock, namespaces, prepare, upkeep, stop } = setUp();
  const sandbox = aSandbox("s1", "p");
  namespaces.foreign.set(sandbox.netns!, new Set(["net1"]));
  await agent.reconcile([sandbox], new Set(["s1"]));
  await prepare(aClaim("a", { network: { cniVersion: "1.1.0", name: "lan" } }));
  agent.takeUp("uid-a", [sandbox], new Set(["s1"]));
  await clock.advance(2_000);
  const collected: unknown[] = [];
  cni.collecting = (_, valid) =>
    void collected.push(...valid.map(({ containerID, ifname }) => `${containerID}/${ifname}`));
  const running = upkeep({ gcNetworks: ["lan"], interval: 0 });
  await clock.advance(1_000);
  assert.deepEqual(collected, ["s1/net1"]);
  await stop(running);
});

Deno.test("GC begins while no ADD or DEL of its network runs, and those wait for its end", async () => {
  const { agent, prepare, gate, cni, clock, upkeep, stop } = setUp();
  const network = { cniVersion: "1.1.0", name: "lan" };
  await prepare(aClaim("a", { network }), aClaim("b", { pod: "q", network }));
  let collecting = false;
  const began: string[] = [];
  cni.collecting = async () => {
    began.push("GC");
    collecting = true;
    await clock.sleep(2_000);
    collecting = false;
  };
  cni.during = async ({ command }) => {
    began.push(command);
    assert.equal(collecting, false);
    await clock.sleep(1_000);
  };
  agent.attach(aSandbox("s1", "p"));
  await settle();
  const running = upkeep({ gcNetworks: ["lan"], interval: 0 });
  await agent.reconcile([aSandbox("s1", "p")], new Set());
  await clock.advance(4_000);
  // It was in use; it is tried again a little later.
  assert.deepEqual(began, ["ADD"]);
  while (!collecting) await clock.advance(100);
  agent.attach(aSandbox("s2", "q"));
  await clock.advance(1_000);
  assert.deepEqual(began, ["ADD", "GC"]);
  await clock.advance(3_000);
  await gate("s2", "q");
  assert.deepEqual(began, ["ADD", "GC", "ADD"]);
  await stop(running);
});

Deno.test("a GC that fails is said once, and keeps nobody from the network", async () => {
  const { agent, prepare, gate, cni, clock, log, metrics, upkeep, stop } = setUp();
  await prepare(aClaim("a", { network: { cniVersion: "1.1.0", name: "lan" } }));
  cni.collecting = () => {
    throw new Error("no answer from the IPAM service");
  };
  const running = upkeep({ gcNetworks: ["lan"] });
  await agent.reconcile([], new Set());
  await clock.advance(1_500_000);
  assert.equal(log.lines.filter((line) => line.startsWith("warn cannot collect")).length, 1);
  assert.ok(metrics.counted.filter((line) => line === "collected error").length >= 2);
  agent.attach(aSandbox("s1", "p"));
  await gate("s1");
  await stop(running);
});

Deno.test("what failed writes left of records is removed again and again, and only by the agent that leads", async () => {
  const { agent, journal, clock, upkeep, stop } = setUp();
  await agent.load();
  await agent.reconcile([], new Set());
  const running = upkeep();
  await clock.advance(70_000);
  assert.equal(journal.tidied, 2);
  await stop(running);
  await clock.advance(70_000);
  assert.equal(journal.tidied, 2);
});

Deno.test("a lost network is Ready False with its reason, and its device unhealthy", async () => {
  const { agent, prepare, gate, cni, cluster, clock, upkeep, stop } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate("s1");
  assert.deepEqual(agent.deviceHealth(), [
    { pool: "node", device: "cni", healthy: true, message: "" },
  ]);
  const running = upkeep();
  cni.attached.clear();
  await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
  await clock.advance(6_000);
  const [status] = cluster.applied.get("uid-a")!;
  assert.deepEqual(status!.conditions, [{
    type: "Ready",
    status: "False",
    reason: "NetworkInterfaceLost",
    message: "net1 is not there",
    lastTransitionTime: "2026-01-01T00:00:05.000Z",
  }]);
  assert.deepEqual(status!.networkData?.ips, ["10.0.0.2/24"]);
  const lost = 'network "network-a" (interface net1, claim default/a) is lost: net1 is not there';
  assert.deepEqual(agent.deviceHealth(), [
    { pool: "node", device: "cni", healthy: false, message: lost },
  ]);
  // Another pod's network by the same device is well: the device is.
  await prepare(aClaim("b", { pod: "q" }));
  agent.attach(aSandbox("s2", "q"));
  await gate("s2", "q");
  assert.deepEqual(agent.deviceHealth(), [
    { pool: "node", device: "cni", healthy: true, message: `1 of 2 networks: ${lost}` },
  ]);
  assert.equal(agent.counts().attachments.lost, 1);
  await stop(running);
});

Deno.test("what was lost is still lost after a restart, since then", async () => {
  const before = setUp();
  await before.prepare(aClaim("a"));
  before.agent.attach(aSandbox("s1", "p"));
  await before.gate("s1");
  const running = before.upkeep();
  before.cni.attached.clear();
  await before.agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
  await before.clock.advance(6_000);
  await before.stop(running);
  const { agent, cluster, clock, stop } = setUp(before.world);
  await agent.load();
  await agent.reconcile([aSandbox("s1", "p")], new Set(["s1"]));
  await clock.advance(1_000);
  const condition = cluster.applied.get("uid-a")?.[0]?.conditions[0];
  assert.equal(condition?.status, "False");
  assert.equal(condition?.lastTransitionTime, "2026-01-01T00:00:05.000Z");
  await stop();
});

Deno.test("a sandbox that was never whole neither gets networks nor speaks for its pod", async () => {
  const { agent, prepare, gate, cni, clock, cluster, cdi, stop } = setUp();
  await prepare(aClaim("a"));
  const { netns: _, ...incomplete } = aSandbox("s0", "p");
  await agent.reconcile([{ ...incomplete, incomplete: true }], new Set());
  agent.attach(aSandbox("s1", "p"));
  await gate("s1");
  await clock.advance(10_000);
  assert.deepEqual(cni.log, ["ADD net1"]);
  assert.deepEqual([...cdi.attached], ["uid-a"]);
  assert.equal(cluster.applied.get("uid-a")?.[0]?.conditions[0]?.status, "True");
  await stop();
});

Deno.test("of a known sandbox that is listed without its namespaces all stays", async () => {
  const { agent, prepare, gate, cni, stop } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate("s1");
  const { netns: _, ...incomplete } = aSandbox("s1", "p");
  await agent.reconcile([{ ...incomplete, incomplete: true }], new Set(["s1"]));
  await settle();
  assert.deepEqual(cni.log, ["ADD net1"]);
  await stop();
});

Deno.test("a claim that is prepared anew after the state was lost: the sandbox that runs is taken up", async () => {
  const { agent, cni, journal, namespaces, prepare, stop } = setUp();
  const running = aSandbox("s1", "p");
  namespaces.foreign.set(running.netns!, new Set(["lo", "eth0"]));
  await agent.reconcile([running], new Set(["s1"]));
  assert.deepEqual(cni.log, []);
  await prepare(aClaim("a"));
  agent.takeUp("uid-a", [running, aSandbox("s2", "another")], new Set(["s1"]));
  await settle();
  assert.deepEqual(cni.log, ["ADD net1"]);
  assert.equal(journal.attachments.size, 1);
  agent.detach("s1");
  await settle();
  assert.deepEqual(cni.log, ["ADD net1", "DEL net1"]);
  await stop();
});

/** An agent whose claim was in use as it died, and whose records were lost with it. */
async function lostWithClaimInUse() {
  const before = setUp();
  await before.prepare(aClaim("a"));
  before.agent.attach(aSandbox("s1", "p"));
  await before.gate("s1");
  await before.agent.close();
  before.journal.claims.clear();
  before.journal.attachments.clear();
  const next = setUp(before.world);
  await next.agent.load();
  next.cni.calls.length = 0;
  return { ...next, setPods: (...pods: string[]) => setPods(before.world, pods) };
}

function setPods({ cluster }: World, pods: readonly string[]): void {
  const claim = cluster.claims.get("default/a") as ReturnType<typeof aClaim>;
  const reservedFor = pods.map((name) => ({ resource: "pods", name, uid: `uid-${name}` }));
  cluster.claims.set("default/a", { ...claim, status: { ...claim.status, reservedFor } });
}

Deno.test("where the state was lost, a pod that comes to a claim which was in use has its network, also when no container names the claim", async () => {
  const { agent, cni, journal, gate, setPods, stop } = await lostWithClaimInUse();
  await agent.reconcile([], new Set());
  setPods("p", "q");
  agent.attach(aSandbox("s2", "q"));
  await gate("s2", "q");
  assert.deepEqual(cni.log, ["ADD net1"]);
  assert.deepEqual([...journal.claims.keys()], ["uid-a"]);
  // Another one, which does not use it, is not kept waiting by it.
  agent.attach(aSandbox("s3", "r"));
  await gate("s3", "r");
  assert.deepEqual(cni.log, ["ADD net1"]);
  await stop();
});

Deno.test("where the state was lost, a claim that the kubelet unprepares before a pod comes to it goes with that pod", async () => {
  const { agent, cni, clock, journal, gate, setPods, stop } = await lostWithClaimInUse();
  await agent.reconcile([], new Set());
  setPods("q");
  await agent.unprepare([ref("a")], never);
  agent.attach(aSandbox("s2", "q"));
  await gate("s2", "q");
  agent.detach("s2");
  await clock.advance(2_000);
  assert.deepEqual(cni.log, ["ADD net1", "DEL net1"]);
  assert.equal(journal.claims.size, 0);
  await stop();
});

Deno.test("where the state was lost, a claim that is taken up for a pod which no longer uses it is released", async () => {
  const { agent, cni, clock, cluster, journal, gate, setPods, stop } = await lostWithClaimInUse();
  await agent.reconcile([], new Set());
  await agent.unprepare([ref("a")], never);
  // The pod has ended, which the runtime has not said; a pod of another node has the claim.
  let reads = 0;
  cluster.during = () => {
    if (++reads === 2) setPods("q");
  };
  agent.attach(aSandbox("s1", "p"));
  await gate("s1");
  await clock.advance(2_000);
  assert.deepEqual(cni.log, []);
  assert.equal(journal.claims.size, 0);
  await stop();
});

Deno.test("where the state was lost, a claim that is not allocated any more keeps no pod waiting", async () => {
  const { agent, cni, cluster, gate, setPods, stop } = await lostWithClaimInUse();
  await agent.reconcile([], new Set());
  setPods("q");
  const { metadata, status } = cluster.claims.get("default/a") as ReturnType<typeof aClaim>;
  const { allocation: _, ...rest } = status;
  cluster.claims.set("default/a", { metadata, status: rest });
  agent.attach(aSandbox("s2", "q"));
  await gate("s2", "q");
  assert.deepEqual(cni.log, []);
  await stop();
});

/** A claim that leaves the name of its interface to the agent. */
function anUnnamedClaim(name: string) {
  const claim = aClaim(name);
  const { interface: _, ...parameters } =
    claim.status.allocation.devices.config[0]!.opaque.parameters;
  claim.status.allocation.devices.config[0]!.opaque.parameters = parameters as never;
  return claim;
}

Deno.test("where the state was lost, interfaces that the agent named keep their names, in whichever order their claims are prepared again", async () => {
  const before = setUp();
  const claims = [anUnnamedClaim("a"), anUnnamedClaim("b")];
  await before.prepare(...claims);
  before.agent.attach(aSandbox("s1", "p"));
  await before.gate("s1");
  await before.clock.advance(1_000);
  const written = claims.map(({ metadata }) => before.cluster.applied.get(metadata.uid)!);
  const names = written.map(([entry]) => entry!.networkData!.interfaceName);
  assert.deepEqual(names, ["net1", "net2"]);
  await before.agent.close();
  before.journal.claims.clear();
  before.journal.attachments.clear();

  const [a, b] = claims.map((claim, i) => ({
    ...claim,
    metadata: { ...claim.metadata, resourceVersion: "1" },
    status: { ...claim.status, devices: written[i] },
  }));
  const { agent, cni, journal, prepare, stop } = setUp(before.world);
  await agent.load();
  await prepare(b!, a!);
  const found = [...journal.claims.values()].map(({ claim, attachments }) =>
    `${claim.name} ${attachments[0]!.ifName}`
  );
  assert.deepEqual(found.toSorted(), ["a net1", "b net2"]);
  // Both in one call, where one was never written.
  journal.claims.clear();
  await agent.close();
  cni.calls.length = 0;
  const last = setUp(before.world);
  await last.agent.load();
  last.cluster.claims.set("default/a", claims[0]!);
  last.cluster.claims.set("default/b", { ...b!, status: { ...b!.status, devices: written[0] } });
  const refs = claims.map(({ metadata: { namespace, name, uid } }) => ({ namespace, name, uid }));
  await last.agent.prepare(refs, never);
  assert.deepEqual(
    [...last.journal.claims.values()].map(({ claim, attachments }) =>
      `${claim.name} ${attachments[0]!.ifName}`
    ).toSorted(),
    ["a net2", "b net1"],
  );
  await last.stop();
  await stop();
});

Deno.test("a sandbox that could not be taken up in full gets the rest before a container of it starts", async () => {
  const before = setUp();
  await before.prepare(aClaim("a"));
  before.agent.attach(aSandbox("s1", "p"));
  await before.gate("s1");
  await before.agent.close();
  const { agent, cni, namespaces, prepare, gate, stop } = setUp(before.world);
  await agent.load();
  const classify = namespaces.classify.bind(namespaces);
  namespaces.classify = () => {
    throw new Error("too many open files");
  };
  await agent.reconcile([aSandbox("s1", "p")], new Set());
  namespaces.classify = classify;
  const other = aClaim("b");
  other.status.allocation.devices.config[0]!.opaque.parameters.interface = "net2";
  await prepare(other);
  await gate("s1");
  assert.deepEqual([...cni.attached].toSorted(), ["s1/net1", "s1/net2"]);
  await stop();
});

Deno.test("a sandbox of which it cannot be told whether it lives gets its networks when it does", async () => {
  const before = setUp();
  await before.prepare(aClaim("a"));
  await before.agent.close();
  const { agent, clock, cdi, cni, namespaces, stop } = setUp(before.world);
  await agent.load();
  const classify = namespaces.classify.bind(namespaces);
  namespaces.classify = () => {
    throw new Error("too many open files");
  };
  await agent.reconcile([aSandbox("s1", "p")], new Set());
  await clock.advance(1_000);
  namespaces.classify = classify;
  await clock.advance(10_000);
  assert.deepEqual([...cni.attached], ["s1/net1"]);
  assert.deepEqual(cdi.shown, ["uid-a+"]);
  await stop();
});

Deno.test("an interface that another plugin makes while ADD waits for its address is not ours for the next agent", async () => {
  const before = setUp();
  await before.prepare(aClaim("a"));
  before.cni.beforeAdd = () => new Promise(() => {});
  before.agent.attach(aSandbox("s1", "p"));
  await settle();
  before.world.namespaces.foreign.set("/var/run/netns/s1", new Set(["net1"]));
  // It dies.
  before.cni.beforeAdd = () => {};
  const { agent, cni, gate, stop } = setUp(before.world);
  await agent.load();
  await agent.reconcile([aSandbox("s1", "p")], new Set());
  await assert.rejects(gate("s1"), /already has an interface net1/);
  // The address that was asked for is given back, and no plugin sees the pod.
  const seen = cni.calls.map(({ command, runtime }) => `${command} ${runtime.netns}`);
  assert.deepEqual(seen, ["DEL "]);
  await stop();
});
