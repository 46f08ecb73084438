import assert from "node:assert/strict";
import {
  anAttachment,
  aSandbox,
  FakeCdi,
  FakeClock,
  FakeCluster,
  FakeJournal,
  FakeWaitingSandboxes,
  settle,
} from "../../../tests/support/agent_fakes.ts";
import type { Agent } from "../agent.ts";
import type { AttachmentRecord, Sandbox } from "../model.ts";
import { ActiveAgent } from "./active_agent.ts";

const never = new AbortController().signal;
const claim = { namespace: "default", name: "a", uid: "uid-a" };
const sandbox = aSandbox("s1", "p");

function listed(started: readonly string[] = [], created: readonly string[] = []) {
  return { started: new Set(started), created: new Set(created) };
}

/** An agent that notes what it is asked, and whose answers wait for `answer`. */
class AskedAgent {
  readonly asked: string[] = [];
  answer: Promise<void> = Promise.resolve();

  #ask(what: string, signal?: AbortSignal): Promise<void> {
    this.asked.push(what);
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(new Error("broken off")));
    });
    return Promise.race([this.answer, aborted]);
  }

  reconcile(sandboxes: readonly Sandbox[], started: ReadonlySet<string>) {
    return this.#ask(`reconcile ${sandboxes.map(({ id }) => id)} started ${[...started]}`);
  }
  /** Ids of the sandboxes whose networks are being detached. */
  readonly detaching = new Set<string>();
  attachWaiting({ id }: Sandbox) {
    this.asked.push(`attach waiting ${id}`);
    return !this.detaching.has(id);
  }
  attach({ id }: Sandbox) {
    this.asked.push(`attach ${id}`);
  }
  detach(id: string) {
    this.asked.push(`detach ${id}`);
  }
  gate({ id }: Sandbox, { signal }: { readonly signal: AbortSignal }) {
    return this.#ask(`gate ${id}`, signal);
  }
  async prepare(_: unknown, signal: AbortSignal) {
    await this.#ask("prepare", signal);
    return new Map();
  }
  takeUp(uid: string, sandboxes: readonly Sandbox[]) {
    this.asked.push(`take up ${uid} among ${sandboxes.map(({ id }) => id)}`);
  }
  async unprepare(_: unknown, signal: AbortSignal) {
    await this.#ask("unprepare", signal);
    return new Map();
  }
}

function setUp(given: { waiting?: FakeWaitingSandboxes; clock?: FakeClock } = {}) {
  const ports = {
    journal: new FakeJournal(),
    waiting: new FakeWaitingSandboxes(),
    cdi: new FakeCdi(),
    cluster: new FakeCluster(),
    clock: new FakeClock(),
    ...given,
  };
  const asked = new AskedAgent();
  const agent = asked as unknown as Agent;
  const record = (more: Partial<AttachmentRecord> = {}): AttachmentRecord => ({
    claim,
    sandbox,
    attachment: anAttachment("net1"),
    ...more,
  });
  const prepared = () =>
    ports.journal.putClaim({
      claim,
      pods: [{ name: "p", uid: sandbox.pod.uid }],
      shareable: false,
      attachments: [anAttachment("net1")],
    });
  const attached = {
    result: { cniVersion: "1.0.0" },
    networkData: {},
    at: "2026-01-01T00:00:00Z",
  };
  const gate = (options: { cdiDevices?: string[]; signal?: AbortSignal } = {}) => {
    const state = { open: false, error: undefined as Error | undefined };
    void activeAgent.createContainer(sandbox, { cdiDevices: [], signal: never, ...options }).then(
      () => state.open = true,
      (error) => state.error = error,
    );
    return state;
  };
  const activeAgent = new ActiveAgent(ports);
  return { ...ports, activeAgent, agent, asked, record, prepared, attached, gate };
}

Deno.test("an agent that comes to lead is told of the sandboxes that the runtime told of before", async () => {
  const { activeAgent, agent, asked } = setUp();
  await activeAgent.synchronize([aSandbox("old"), aSandbox("gone")], listed(["old", "gone"]));
  activeAgent.runPodSandbox(aSandbox("new"));
  activeAgent.stopPodSandbox("gone");
  await activeAgent.createContainer(aSandbox("new"), { cdiDevices: [], signal: never });
  await activeAgent.take(agent);
  assert.deepEqual(asked.asked, ["reconcile old,new started old,new"]);
  activeAgent.runPodSandbox(aSandbox("next"));
  activeAgent.stopPodSandbox("old");
  assert.deepEqual(asked.asked.slice(1), ["attach next", "detach old"]);
});

Deno.test("a container that was only created when the runtime synchronized may run once the agent leads", async () => {
  const { activeAgent, agent, asked } = setUp();
  await activeAgent.synchronize([sandbox, aSandbox("s2")], listed([], ["s1"]));
  await activeAgent.take(agent);
  assert.deepEqual(asked.asked, ["reconcile s1,s2 started s1"]);
});

Deno.test("a container that is only created while the agent leads has not started", async () => {
  const { activeAgent, agent, asked } = setUp();
  await activeAgent.take(agent);
  await activeAgent.synchronize([sandbox], listed([], ["s1"]));
  assert.deepEqual(asked.asked, ["reconcile s1 started "]);
});

Deno.test("a sandbox of which only a container was told lives as well for an agent that comes to lead", async () => {
  const { activeAgent, agent, asked } = setUp();
  await activeAgent.synchronize([aSandbox("old")], listed());
  await activeAgent.createContainer(aSandbox("untold"), { cdiDevices: [], signal: never });
  const refused = activeAgent.createContainer(aSandbox("refused"), {
    cdiDevices: ["test/claim=unknown"],
    signal: AbortSignal.abort(),
  });
  await assert.rejects(refused);
  await activeAgent.take(agent);
  assert.deepEqual(asked.asked, ["reconcile old,untold,refused started untold"]);
});

Deno.test("an agent that leads before the runtime told anything is told when it does", async () => {
  const { activeAgent, agent, asked } = setUp();
  await activeAgent.take(agent);
  assert.deepEqual(asked.asked, []);
  await activeAgent.synchronize([sandbox], listed());
  assert.deepEqual(asked.asked, ["reconcile s1 started "]);
});

Deno.test("an agent that comes to lead while the runtime is not connected waits for what it tells anew", async () => {
  const { activeAgent, agent, asked } = setUp();
  await activeAgent.synchronize([aSandbox("old")], listed());
  activeAgent.disconnected();
  await activeAgent.take(agent);
  assert.deepEqual(asked.asked, []);
  await activeAgent.synchronize([aSandbox("old"), aSandbox("new")], listed());
  assert.deepEqual(asked.asked, ["reconcile old,new started "]);
});

Deno.test("an agent that hands over tells the next one of sandboxes that are being started (run 3208191198)", async () => {
  const { waiting, activeAgent, agent, asked } = setUp();
  await activeAgent.synchronize([aSandbox("old")], listed(["old"]));
  await activeAgent.take(agent);
  activeAgent.runPodSandbox(sandbox);
  const { netns: _, ...onHost } = aSandbox("host");
  activeAgent.runPodSandbox(onHost);
  await activeAgent.leave();
  assert.deepEqual(waiting.sandboxes, [sandbox]);
  // The next one, which the runtime did not tell of s1.
  const next = new ActiveAgent(setUp({ waiting }));
  await next.synchronize([aSandbox("old")], listed(["old"]));
  asked.asked.length = 0;
  await next.take(agent);
  assert.deepEqual(asked.asked, ["reconcile old,s1 started old"]);
  next.stopPodSandbox("s1");
  assert.deepEqual(asked.asked.slice(1), ["detach s1"]);
  await next.leave();
});

Deno.test("a leading agent attaches what a container waits for at another, once it is detached there", async () => {
  const { waiting, clock, prepared, activeAgent, agent, asked, gate } = setUp();
  await prepared();
  // This one stands by.
  gate();
  gate();
  await settle();
  assert.deepEqual(waiting.sandboxes, [sandbox, sandbox]);
  const leader = new ActiveAgent(setUp({ waiting, clock }));
  await leader.synchronize([], listed());
  await leader.take(agent);
  asked.asked.length = 0;
  asked.detaching.add("s1");
  await waiting.put(sandbox);
  await clock.advance(1_000);
  await clock.advance(1_000);
  assert.deepEqual(asked.asked, ["attach waiting s1", "attach waiting s1"]);
  asked.detaching.clear();
  await clock.advance(1_000);
  await clock.advance(5_000);
  assert.equal(asked.asked.length, 3);
  // One that stops is not attached.
  asked.detaching.add("s1");
  await waiting.put(sandbox);
  await clock.advance(1_000);
  leader.stopPodSandbox("s1");
  await clock.advance(5_000);
  assert.deepEqual(asked.asked.slice(3), ["attach waiting s1", "detach s1"]);
  await leader.leave();
  assert.equal(activeAgent.agent, undefined);
});

Deno.test("sandboxes that wait are taken when the runtime has synchronized, not before", async () => {
  const { waiting, clock, activeAgent, agent, asked } = setUp();
  await waiting.put(sandbox);
  await activeAgent.take(agent);
  await clock.advance(5_000);
  assert.deepEqual([asked.asked, waiting.sandboxes], [[], [sandbox]]);
  await activeAgent.synchronize([], listed());
  assert.deepEqual(asked.asked, ["reconcile s1 started "]);
  await activeAgent.leave();
});

Deno.test("a container of a pod without claims passes while another agent leads", async () => {
  const { gate } = setUp();
  const container = gate();
  await settle();
  assert.equal(container.open, true);
});

Deno.test("a container waits until the agent that leads has the pod's networks on record", async () => {
  const { journal, cdi, clock, prepared, record, attached, gate } = setUp();
  await prepared();
  cdi.attached.add("uid-a");
  const container = gate();
  await clock.advance(200);
  await journal.putAttachment(record());
  await journal.putAttachment(record({ sandbox: aSandbox("s0", "p"), attached }));
  await clock.advance(200);
  assert.equal(container.open, false, "ADD has only begun; another sandbox has its network");
  await journal.putAttachment(record({ attached }));
  await clock.advance(100);
  assert.equal(container.open, true);
});

Deno.test("a container that names a claim which is not on record of its pod waits", async () => {
  const { clock, gate } = setUp();
  const container = gate({ cdiDevices: ["test/claim=uid-a"] });
  await clock.advance(1_000);
  assert.equal(container.open, false);
});

for (const cdiDevices of [["test/claim=uid-a"], []]) {
  const says = cdiDevices.length > 0 ? "names" : "may name";
  Deno.test(`a container that ${says} a claim waits until the agent that leads lets it start`, async () => {
    const { journal, cdi, clock, prepared, record, attached, gate } = setUp();
    await prepared();
    await journal.putAttachment(record({ attached }));
    const container = gate({ cdiDevices });
    await clock.advance(200);
    assert.equal(container.open, false);
    cdi.attached.add("uid-a");
    await clock.advance(100);
    assert.equal(container.open, true);
  });
}

/** The claim is prepared and attached for another pod than that of the container at the gate. */
async function sharedByAnother() {
  const bench = setUp();
  const { journal, cdi, cluster, record, attached } = bench;
  const pods = [{ name: "first", uid: "uid-first" }];
  const shared = { claim, pods, shareable: true, attachments: [anAttachment("net1")] };
  await journal.putClaim(shared);
  await journal.putAttachment(record({ sandbox: aSandbox("s0", "first"), attached }));
  cdi.attached.add("uid-a");
  cluster.getPodClaims = () => Promise.resolve({ names: ["a"] });
  return { ...bench, shared };
}

Deno.test("while no agent leads, the second pod of a shared claim waits until its network is on record", async () => {
  const { journal, clock, cluster, record, attached, shared, gate } = await sharedByAnother();
  let asked = 0;
  cluster.getPodClaims = () => {
    asked++;
    return Promise.resolve({ names: ["a"] });
  };
  const container = gate();
  await clock.advance(1_000);
  assert.equal(container.open, false);
  assert.equal(asked, 1);
  const pods = [...shared.pods, { name: "p", uid: sandbox.pod.uid }];
  await journal.putClaim({ ...shared, pods });
  await clock.advance(1_000);
  assert.equal(container.open, false, "its network is not attached");
  await journal.putAttachment(record({ attached }));
  await clock.advance(100);
  assert.equal(container.open, true);
});

Deno.test("while no agent leads, a pod waits that uses a claim of which only the CDI file is left", async () => {
  const { activeAgent, agent, cdi, clock, cluster, gate } = setUp();
  cluster.getPodClaims = () => Promise.resolve({ names: ["a"] });
  cdi.allowCreate({ claim, devices: [] });
  const container = gate();
  await clock.advance(1_000);
  assert.equal(container.open, false);
  await activeAgent.take(agent);
  await clock.advance(1_000);
  assert.equal(container.open, true);
  // Neither does it concern another namespace, nor a claim that is on record.
  const next = setUp();
  next.cluster.getPodClaims = () => Promise.reject(new Error("not to be asked"));
  next.cdi.allowCreate({ claim: { ...claim, namespace: "elsewhere" }, devices: [] });
  await next.journal.putClaim({ claim, pods: [], shareable: false, attachments: [] });
  next.cdi.allowCreate({ claim, devices: [] });
  const other = next.gate();
  await next.clock.advance(1_000);
  assert.equal(other.open, true);
});

Deno.test("while no agent leads, a pod passes that does not use the shared claims of its namespace", async () => {
  const { clock, cluster, gate } = await sharedByAnother();
  cluster.getPodClaims = () => Promise.resolve({ names: ["b"] });
  const container = gate();
  await clock.advance(100);
  assert.equal(container.open, true);
});

Deno.test("a stand-by asks the API server again for a pod's claims, and says why a container waits", async () => {
  const { clock, cluster, gate } = await sharedByAnother();
  let fails = true;
  cluster.getPodClaims = () =>
    fails ? Promise.reject(new Error("connection refused")) : Promise.resolve({ names: [] });
  const due = new AbortController();
  const refused = gate({ signal: due.signal });
  const container = gate();
  await clock.advance(1_000);
  assert.equal(container.open, false);
  due.abort();
  await clock.advance(100);
  assert.match(refused.error!.message, /which claims the pod uses: connection refused/);
  fails = false;
  await clock.advance(5_000);
  assert.equal(container.open, true);
});

Deno.test("a stand-by that cannot read a claim's record lets in only pods whose claims are all known", async () => {
  const { journal, clock, cluster, gate } = setUp();
  journal.claimsUnreadable = true;
  cluster.getPodClaims = () => Promise.resolve({ names: ["a"] });
  const container = gate();
  await clock.advance(1_000);
  assert.equal(container.open, false);
  cluster.getPodClaims = () => Promise.resolve({ names: [] });
  const other = gate();
  await clock.advance(100);
  assert.equal(other.open, true);
});

Deno.test("a container that waits for another agent goes through this one's gate once it leads", async () => {
  const { clock, prepared, activeAgent, agent, asked, gate } = setUp();
  await prepared();
  const container = gate();
  await clock.advance(200);
  await activeAgent.take(agent);
  await clock.advance(100);
  assert.equal(container.open, true);
  assert.deepEqual(asked.asked, ["gate s1"]);
});

Deno.test("a container at the gate of an agent that hands over waits for the next agent's record", async () => {
  const { journal, cdi, clock, prepared, record, attached, activeAgent, agent, asked, gate } =
    setUp();
  await prepared();
  cdi.attached.add("uid-a");
  asked.answer = new Promise(() => {});
  await activeAgent.take(agent);
  const container = gate();
  await clock.advance(100);
  await activeAgent.leave();
  await clock.advance(200);
  assert.equal(container.open, false);
  assert.equal(container.error, undefined);
  await journal.putAttachment(record({ attached }));
  await clock.advance(100);
  assert.equal(container.open, true);
});

Deno.test("a container is refused when its time is over and no agent has its networks", async () => {
  const { clock, prepared, gate } = setUp();
  await prepared();
  const due = new AbortController();
  const container = gate({ signal: due.signal });
  await clock.advance(1_000);
  due.abort();
  await clock.advance(100);
  assert.match(container.error!.message, /networks of pod default\/p are not ready/);
});

Deno.test("the kubelet's calls wait for an agent that leads, and until they have their time", async () => {
  const { activeAgent, agent, asked } = setUp();
  const due = new AbortController();
  const late = assert.rejects(activeAgent.prepare([claim], due.signal), /due/);
  const prepare = activeAgent.prepare([claim], never);
  await settle();
  due.abort(new Error("due"));
  await late;
  await activeAgent.take(agent);
  assert.deepEqual(await prepare, new Map());
  assert.deepEqual(asked.asked, ["prepare"]);
});

Deno.test("the kubelet's calls end before its 45 s are over, also when they waited for an agent that leads", async (t) => {
  const { activeAgent, agent, asked, clock } = setUp();
  await t.step("with the cause where none comes to lead", async () => {
    const prepare = assert.rejects(activeAgent.prepare([claim], never), /no agent .* leads yet/);
    await clock.advance(40_000);
    await prepare;
  });
  await t.step("where one does, which has the rest of the time", async () => {
    asked.answer = new Promise(() => {});
    const unprepare = assert.rejects(activeAgent.unprepare([claim], never), /broken off/);
    await clock.advance(30_000);
    await activeAgent.take(agent);
    await clock.advance(10_000);
    await unprepare;
  });
});

Deno.test("leave() waits for a Prepare that runs and breaks off an Unprepare that waits", async () => {
  const { activeAgent, agent, asked } = setUp();
  const answer = Promise.withResolvers<void>();
  asked.answer = answer.promise;
  await activeAgent.take(agent);
  const prepare = activeAgent.prepare([claim], never);
  const unprepare = assert.rejects(activeAgent.unprepare([claim], never), /broken off/);
  let left = false;
  const leave = activeAgent.leave().then(() => left = true);
  await unprepare;
  await settle();
  assert.equal(left, false);
  assert.equal(activeAgent.agent, undefined);
  answer.resolve();
  await Promise.all([prepare, leave]);
});

Deno.test("close() breaks off an Unprepare that waits for its DELs", async () => {
  const { activeAgent, agent, asked } = setUp();
  asked.answer = new Promise(() => {});
  await activeAgent.take(agent);
  const unprepare = assert.rejects(activeAgent.unprepare([claim], never), /broken off/);
  await settle();
  activeAgent.close();
  await unprepare;
});

Deno.test("close() lets a Prepare that runs end, and breaks off one that waits for long", async () => {
  const { activeAgent, agent, asked, clock } = setUp();
  const answer = Promise.withResolvers<void>();
  asked.answer = answer.promise;
  await activeAgent.take(agent);
  const ends = activeAgent.prepare([claim], never);
  await settle();
  asked.answer = new Promise(() => {});
  let broken = false;
  const waits = assert.rejects(activeAgent.prepare([claim], never), /broken off/)
    .then(() => broken = true);
  await settle();
  activeAgent.close();
  await clock.advance(9_000);
  assert.equal(broken, false);
  answer.resolve();
  await ends;
  await clock.advance(2_000);
  await waits;
});

Deno.test("close() refuses calls that wait and those that come", async () => {
  const { activeAgent } = setUp();
  const waiting = assert.rejects(activeAgent.unprepare([claim], never), /the agent is stopping/);
  await settle();
  activeAgent.close();
  await waiting;
  await assert.rejects(activeAgent.prepare([claim], never), /the agent is stopping/);
});
