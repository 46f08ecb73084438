import assert from "node:assert/strict";
import { aSandbox, settle } from "../../../tests/support/agent_fakes.ts";
import type { Prepared } from "./prepare.ts";
import { never, outcomeOf, refOf, startAgent } from "../../../tests/support/agent_claims.ts";

function devicesOf(answer: Prepared | undefined): string[] | string | undefined {
  return answer?.error ?? answer?.devices.map(({ device }) => device);
}

const HOST_DEVICE = { type: "host-device" };

/** The agent was restarted after it prepared the claim a on eth1 for the pod p, which had no sandbox. */
async function restarted() {
  const first = await startAgent();
  const { ports } = first;
  for (const name of ["eth1", "eth2"]) ports.devices.interfaces.set(name, name);
  await first.prepare("a", { pods: ["p"], device: "eth1", plugin: HOST_DEVICE });
  await first.agent.close();
  return await startAgent(ports);
}

Deno.test("prepare() takes what is allocated now, not what an earlier agent put on record", async () => {
  const { prepare, ports } = await restarted();
  const answer = await prepare("a", { pods: ["q"], device: "eth2", plugin: HOST_DEVICE });
  assert.deepEqual(devicesOf(answer), ["eth2"]);
  assert.deepEqual(ports.journal.claims.get("uid-a")?.attachments.map(({ device }) => device), [
    "eth2",
  ]);
  assert.deepEqual(ports.journal.claims.get("uid-a")?.pods, [{ name: "q", uid: "uid-q" }]);
});

Deno.test("prepare() takes what is allocated now, not what the same agent put on record before", async () => {
  const { prepare } = await startAgent();
  await prepare("a", { pods: ["p"], device: "eth1" });
  const answer = await prepare("a", { pods: ["q"], device: "eth2" });
  assert.deepEqual(devicesOf(answer), ["eth2"]);
});

Deno.test("prepare() of a claim that was allocated anew waits for the pods that have its old device", async () => {
  const { agent, ports, prepare, gate, unprepare } = await startAgent();
  await prepare("a", { pods: ["p"], device: "eth1" });
  agent.attach(aSandbox("p"));
  await gate("p");
  const anew = { pods: ["q"], device: "eth2" };
  assert.match(
    (await prepare("a", anew)).error ?? "",
    /^claim default\/a was allocated again, and its previous networks are still attached/,
  );
  assert.deepEqual([...ports.cni.attached], ["p/net1"]);
  agent.detach("p");
  await ports.clock.advance(1_000);
  assert.deepEqual(devicesOf(await prepare("a", anew)), ["eth2"]);
  assert.deepEqual(await unprepare("a"), {});
});

Deno.test("prepare() while the claim is unprepared takes what is allocated after that", async () => {
  const { agent, ports, prepare, store, gate, unprepare } = await startAgent();
  await prepare("a", { pods: ["p"], device: "eth1" });
  agent.attach(aSandbox("p"));
  await gate("p");
  const slow = Promise.withResolvers<void>();
  ports.cni.during = async ({ command }) => {
    if (command === "DEL") await slow.promise;
  };
  agent.detach("p");
  const unprepared = unprepare("a");
  await settle();
  const prepared = agent.prepare([refOf("a")], never);
  await settle();
  store("a", { pods: ["q"], device: "eth2" });
  slow.resolve();
  await settle();
  assert.deepEqual(await unprepared, {});
  const answer = (await prepared).get("uid-a");
  assert.deepEqual(devicesOf(answer), ["eth2"]);
});

Deno.test("prepare() answers within the kubelet's 45 s although another call has the claim", async () => {
  const { agent, ports, prepare, unprepare } = await startAgent();
  await prepare("a", { pods: ["p"] });
  // A disk that does not answer.
  ports.journal.before = () => new Promise(() => {});
  void unprepare("a");
  await settle();
  const prepared = agent.prepare([refOf("a")], never);
  await ports.clock.advance(41_000);
  assert.match(
    (await prepared).get("uid-a")?.error ?? "",
    /^claim default\/a: another call for it/,
  );
});

Deno.test("prepare() answers within the kubelet's 45 s while the disk hangs, and nothing else is done with the claim", async () => {
  const { agent, ports, store } = await startAgent();
  store("a", { pods: ["p"] });
  const disk = Promise.withResolvers<void>();
  ports.journal.before = () => disk.promise;
  const prepared = agent.prepare([refOf("a")], never);
  await ports.clock.advance(42_000);
  const { error } = (await prepared).get("uid-a")!;
  assert.equal(error, "claim default/a: the node's disk does not answer");
  const unprepared = outcomeOf(agent.unprepare([refOf("a")], never));
  const closed = outcomeOf(agent.close());
  await settle();
  assert.deepEqual([unprepared.is, closed.is], ["pending", "pending"]);
  disk.resolve();
  await settle();
  assert.deepEqual([unprepared.is, closed.is], ["done", "done"]);
  assert.equal(ports.journal.claims.size, 0);
});

Deno.test("prepare() that the kubelet gave up puts nothing on record", async () => {
  const { agent, ports, store } = await startAgent();
  store("a", { pods: ["p"] });
  const slow = Promise.withResolvers<void>();
  ports.cluster.during = () => slow.promise;
  const gone = new AbortController();
  const prepared = outcomeOf(agent.prepare([refOf("a")], gone.signal));
  await settle();
  gone.abort(new Error("the kubelet cancelled the call"));
  slow.resolve();
  await settle();
  assert.equal(prepared.is, "done");
  assert.equal(ports.journal.claims.size, 0);
});

Deno.test("a record of a claim that is allocated otherwise by now blocks no interface", async (t) => {
  const cases = {
    "deallocated": { metadata: { namespace: "default", name: "a", uid: "uid-a" }, status: {} },
    "allocated elsewhere": undefined,
  };
  for (const [name, claim] of Object.entries(cases)) {
    await t.step(name, async () => {
      const { agent, ports, prepare, store } = await restarted();
      const end = new AbortController();
      const upkeep = agent.upkeep({ interval: 0, repair: false, gcNetworks: [] }, end.signal);
      if (claim) ports.cluster.claims.set("default/a", claim);
      else store("a", { pods: ["q"], device: "eth7" });
      await ports.clock.advance(60_000);
      assert.equal(ports.journal.claims.size, 0);
      const other = await prepare("b", { pods: ["r"], device: "eth1", plugin: HOST_DEVICE });
      assert.equal(other.error, undefined);
      end.abort();
      await upkeep;
      await agent.close();
    });
  }
});

Deno.test("a claim that is allocated otherwise by now keeps what a living sandbox uses of it", async () => {
  const { agent, ports, prepare, store, gate } = await startAgent();
  await prepare("a", { pods: ["p"], device: "eth1" });
  agent.attach(aSandbox("p"));
  await gate("p");
  const end = new AbortController();
  const upkeep = agent.upkeep({ interval: 0, repair: false, gcNetworks: [] }, end.signal);
  store("a", { pods: ["q"], device: "eth2" });
  await ports.clock.advance(20 * 60_000);
  assert.deepEqual([...ports.cni.attached], ["p/net1"]);
  agent.detach("p");
  await ports.clock.advance(6 * 60_000);
  assert.equal(ports.journal.claims.size, 0);
  end.abort();
  await upkeep;
  await agent.close();
});

Deno.test("every pod of a PodGroup that a claim is reserved for has its network", async () => {
  const { agent, ports, prepare, gate } = await startAgent();
  const answer = await prepare("a", { groups: ["team"] });
  assert.deepEqual(devicesOf(answer), ["cni"]);
  for (const pod of ["p", "q"]) ports.cluster.groups.set(`uid-${pod}`, "team");
  ports.cluster.groups.set("uid-r", "others");
  for (const pod of ["p", "q", "r"]) agent.attach(aSandbox(pod));
  await gate("p", ["test/claim=uid-a"]);
  await gate("q");
  await gate("r");
  assert.deepEqual([...ports.cni.attached].toSorted(), ["p/net1", "q/net1"]);
  const pods = ports.journal.claims.get("uid-a")?.pods.map(({ name }) => name);
  assert.deepEqual(pods?.toSorted(), ["p", "q"]);
  // A pod that comes later takes none of them off the record.
  ports.cluster.groups.set("uid-s", "team");
  agent.attach(aSandbox("s"));
  await gate("s");
  assert.equal(ports.journal.claims.get("uid-a")?.pods.length, 3);
  await agent.close();
});

Deno.test("prepare() refuses a claim that is reserved for what it cannot tell the pods of", async () => {
  const { agent, ports, store } = await startAgent();
  store("a", { pods: ["p"] });
  const claim = structuredClone(ports.cluster.claims.get("default/a")) as {
    status: { reservedFor: unknown[] };
  };
  claim.status.reservedFor.push({ apiGroup: "batch", resource: "jobs", name: "j", uid: "uid-j" });
  ports.cluster.claims.set("default/a", claim);
  const { error } = (await agent.prepare([refOf("a")], never)).get("uid-a")!;
  assert.equal(
    error,
    'claim default/a: status.reservedFor[1]: it is reserved for "jobs" of the API group "batch", ' +
      "but this driver supports only pods and PodGroups: it cannot tell which pods use the claim",
  );
  assert.equal(ports.journal.claims.size, 0);
});

Deno.test("prepare() measures each of its phases once for all claims of the call", async () => {
  const { ports, prepare } = await startAgent();
  await prepare("shared", { pods: ["q", "r"] });
  ports.metrics.prepareTimes.length = 0;
  ports.traces.steps.length = 0;
  // First the claim is read; then whether its pod shares the other one, too.
  const pauses = [2_000, 500];
  ports.cluster.during = () => ports.clock.sleep(pauses.shift() ?? 0);
  const prepared = prepare("a", { pods: ["p"] });
  await ports.clock.advance(3_000);
  assert.deepEqual(devicesOf(await prepared), ["cni"]);
  assert.deepEqual(ports.metrics.prepareTimes, ["plan 2", "pods 0.5", "record 0"]);
  assert.deepEqual(ports.traces.steps, ["p prepare 2.5"]);
});
