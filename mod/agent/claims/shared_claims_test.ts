import assert from "node:assert/strict";
import { anAttachment, aSandbox, fakePorts, settle } from "../../../tests/support/agent_fakes.ts";
import { startAgent } from "../../../tests/support/agent_claims.ts";
import { FileJournal } from "../../journal/journal.ts";
import { KeyedLock } from "../../async/keyed_lock.ts";
import { ClaimPlanner } from "./planner.ts";
import { ClaimStore } from "./store.ts";
import { SharedClaims } from "./shared_claims.ts";

const driver = "dra.networking";
const claim = { namespace: "default", name: "a", uid: "uid-a" };

/** A claim as the API server has it, reserved for pods. */
function reserved(pods: readonly string[], uid = "uid-a") {
  return {
    metadata: { namespace: "default", name: "a", uid },
    status: {
      allocation: {
        devices: { results: [{ request: "net1", driver, pool: "node", device: "cni" }] },
      },
      reservedFor: pods.map((name) => ({ resource: "pods", name, uid: `uid-${name}` })),
    },
  };
}

/** The claim was prepared for the pod p, and may be shared. */
async function setUp() {
  const ports = fakePorts();
  const claims = new ClaimStore(ports.journal);
  const pods = [{ name: "p", uid: "uid-p" }];
  const attachments = [anAttachment("net1")];
  await claims.put({ claim, pods, shareable: true, attachments });
  const locks = new KeyedLock({ clock: ports.clock, rank: "claim" });
  const planner = new ClaimPlanner(ports, { driver, policy: { trustClaims: true } });
  const used = new Set<string>();
  const shared = new SharedClaims(ports, {
    driver,
    claims,
    planner,
    locks,
    isUsed: ({ uid }) => used.has(uid),
    maybeUnused: () => {},
  });
  const found: string[] = [];
  const look = (pod: string) =>
    shared.look(aSandbox(pod), (record) => void found.push(`${record.claim.uid} for ${pod}`));
  const podsOf = () => claims.get("uid-a")!.pods.map(({ name }) => name);
  return { ...ports, claims, shared, look, found, podsOf, used };
}

Deno.test("pods that come at once put the claim that they share on record once", async () => {
  const { cluster, journal, look, found } = await setUp();
  let [writes, under, most] = [0, 0, 0];
  journal.before = async () => {
    writes++;
    most = Math.max(most, ++under);
    await settle();
    under--;
  };
  cluster.claims.set("default/a", reserved(["p", "q", "r", "s"]));
  for (const pod of ["q", "r", "s"]) look(pod);
  for (let i = 0; i < 5; i++) await settle();
  assert.deepEqual(found, ["uid-a for q", "uid-a for r", "uid-a for s"]);
  assert.deepEqual({ writes, most }, { writes: 1, most: 1 });
});

Deno.test("an answer that comes late takes no pod off the record", async () => {
  const { cluster, look, found, podsOf } = await setUp();
  const late = Promise.withResolvers<void>();
  const getClaim = cluster.getClaim.bind(cluster);
  cluster.claims.set("default/a", reserved(["p", "q"]));
  cluster.getClaim = async (ref) => {
    const answer = await getClaim(ref);
    cluster.getClaim = getClaim;
    await late.promise;
    return answer;
  };
  look("q");
  await settle();
  cluster.claims.set("default/a", reserved(["p", "q", "r"]));
  look("r");
  await settle();
  late.resolve();
  await settle();
  assert.deepEqual(found.toSorted(), ["uid-a for q", "uid-a for r"]);
  assert.deepEqual(podsOf(), ["p", "q", "r"]);
});

Deno.test("a claim that was made anew by the same name is another one", async () => {
  const { cluster, look, found, podsOf } = await setUp();
  cluster.claims.set("default/a", reserved(["q"], "uid-new"));
  look("q");
  await settle();
  assert.deepEqual(found, []);
  assert.deepEqual(podsOf(), ["p"]);
});

Deno.test("a sandbox that stops while its claim is put on record gets nothing", async () => {
  const { cluster, journal, shared, look, found } = await setUp();
  const written = Promise.withResolvers<void>();
  journal.before = () => written.promise;
  cluster.claims.set("default/a", reserved(["p", "q"]));
  look("q");
  await settle();
  shared.stopped("q");
  written.resolve();
  await settle();
  assert.deepEqual(found, []);
});

Deno.test("a pod that another one's look put on record gets its network too", async (t) => {
  const { cluster, clock, look, found, podsOf } = await setUp();
  cluster.claims.set("default/a", reserved(["p", "q", "r", "s"]));
  const getPodClaims = cluster.getPodClaims.bind(cluster);
  const slow = Promise.withResolvers<void>();
  cluster.getPodClaims = async (pod) => {
    if (pod.name === "q") await slow.promise;
    if (pod.name === "s" && clock.now().getMilliseconds() === 0) throw new Error("no answer");
    return getPodClaims(pod);
  };
  for (const pod of ["q", "r", "s"]) look(pod);
  await settle();
  assert.deepEqual(podsOf(), ["p", "q", "r", "s"]);
  await t.step("whose pod was read late", async () => {
    slow.resolve();
    await settle();
    assert.deepEqual(found, ["uid-a for r", "uid-a for q"]);
  });
  await t.step("whose pod could not be read at first", async () => {
    await clock.advance(300);
    assert.deepEqual(found, ["uid-a for r", "uid-a for q", "uid-a for s"]);
  });
});

Deno.test("a pod that comes to a claim which was allocated anew, and is not prepared again, gets what is allocated now", async (t) => {
  const devicesOf = ({ journal }: ReturnType<typeof fakePorts>) =>
    journal.claims.get("uid-a")?.attachments.map(({ device }) => device);
  await t.step("at once where nothing of it is attached", async () => {
    const { agent, ports, prepare, store, gate } = await startAgent();
    await prepare("a", { pods: ["p"] });
    store("a", { pods: ["q"], device: "eth9" });
    agent.attach(aSandbox("q"));
    await gate("q");
    assert.deepEqual(devicesOf(ports), ["eth9"]);
    await agent.close();
  });
  await t.step("else when that is gone", async () => {
    const { agent, ports, prepare, store, gate } = await startAgent();
    await prepare("a", { pods: ["p"] });
    agent.attach(aSandbox("p"));
    await gate("p");
    store("a", { pods: ["q"], device: "eth9" });
    agent.attach(aSandbox("q"));
    const over = new AbortController();
    const container = gate("q", [], over.signal);
    await ports.clock.advance(1_500);
    over.abort();
    await assert.rejects(container, /uses claim default\/a: it was allocated again/);
    assert.deepEqual([...ports.cni.attached], ["p/net1"]);
    agent.detach("p");
    await ports.clock.advance(11_000);
    await gate("q");
    assert.deepEqual(devicesOf(ports), ["eth9"]);
    assert.deepEqual([...ports.cni.attached], ["q/net1"]);
    await agent.close();
  });
});

for (const when of ["the removal of its record", "the write of its record"] as const) {
  Deno.test(`an unprepared claim stays away when its pods are read during ${when}`, async () => {
    const { agent, ports, prepare, store, unprepare } = await startAgent();
    await prepare("a", { pods: ["p"] });
    agent.attach(aSandbox("p"));
    await settle();
    // A second pod names the claim; the API server is slow to answer.
    store("a", { pods: ["p", "q"] });
    const slow = Promise.withResolvers<void>();
    let gets = 0;
    ports.cluster.during = async (request) => {
      if (request === "get" && ++gets === 2) await slow.promise;
    };
    agent.attach(aSandbox("q"));
    await settle();
    // Both are deleted by force, and the disk is slow.
    agent.detach("p");
    agent.detach("q");
    const disk = Promise.withResolvers<void>();
    const held = when === "the removal of its record" ? "removeClaim" : "putClaim";
    ports.journal.before = async (change) => {
      if (change === held) await disk.promise;
    };
    if (held === "putClaim") slow.resolve();
    await settle();
    const unprepared = unprepare("a");
    await settle();
    slow.resolve();
    await settle();
    disk.resolve();
    assert.deepEqual(await unprepared, {});
    await settle();
    assert.deepEqual([...ports.journal.claims.keys()], []);
    assert.equal(agent.counts().records.claim, 0);
    await agent.close();
  });
}

Deno.test("an unprepared claim is gone from the real disk, whenever its pods are read", async () => {
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  for (let turns = 0; turns < 24; turns++) {
    const folder = await Deno.makeTempDir();
    try {
      const journal = new FileJournal(folder, { log });
      const { agent, ports, prepare, store, gate, unprepare } = await startAgent({
        ...fakePorts(),
        journal,
      });
      await prepare("a", { pods: ["p"] });
      agent.attach(aSandbox("p"));
      await gate("p");
      store("a", { pods: ["p", "q"] });
      const slow = Promise.withResolvers<void>();
      let gets = 0;
      ports.cluster.during = async (request) => {
        if (request === "get" && ++gets === 2) await slow.promise;
      };
      agent.attach(aSandbox("q"));
      agent.detach("p");
      agent.detach("q");
      const unprepared = unprepare("a");
      for (let i = 0; i < turns; i++) await Promise.resolve();
      slow.resolve();
      const answer = await unprepared;
      await agent.close();
      const { claims } = await new FileJournal(folder, { log }).load();
      assert.deepEqual(
        { answer, disk: claims.length, memory: agent.counts().records.claim },
        { answer: {}, disk: 0, memory: 0 },
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
});
