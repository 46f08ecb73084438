import assert from "node:assert/strict";
import { aSandbox, FakeWaitingSandboxes, settle } from "../../../tests/support/agent_fakes.ts";
import {
  aSharedClaim,
  never,
  outcomeOf,
  refOf,
  startAgent,
} from "../../../tests/support/agent_claims.ts";
import { ActiveAgent } from "../handover/active_agent.ts";

/** The pod p, of which the sandbox has stopped, and a CDI folder that takes no change. */
async function withBrokenCdi() {
  const started = await startAgent();
  const { agent, ports, prepare } = started;
  const active = new ActiveAgent({ ...ports, waiting: new FakeWaitingSandboxes() });
  await active.take(agent);
  await prepare("a", { pods: ["p"] });
  active.runPodSandbox(aSandbox("p"));
  await settle();
  ports.cdi.before = (change) => {
    if (change.startsWith("refuse")) throw new Error("EROFS: read-only file system");
  };
  active.stopPodSandbox("p");
  await settle();
  return { ...started, active };
}

Deno.test("unprepare() answers within the kubelet's 45 s when the CDI files cannot be removed", async () => {
  const { ports, active } = await withBrokenCdi();
  const answer = active.unprepare([refOf("a")], never);
  await ports.clock.advance(41_000);
  assert.match(
    (await answer).get("uid-a")?.error ?? "",
    /^cannot change the CDI files of claim default\/a yet: EROFS: read-only file system$/,
  );
  // And the next one has the lock.
  ports.cdi.before = () => {};
  const next = active.unprepare([refOf("a")], never);
  await ports.clock.advance(11_000);
  assert.deepEqual((await next).get("uid-a"), {});
});

Deno.test("unprepare() ends when the kubelet cancels it, also one that waits for the claim's turn", async () => {
  const { ports, active } = await withBrokenCdi();
  const cancels = Array.from({ length: 20 }, () => new AbortController());
  const calls = cancels.map(({ signal }) => outcomeOf(active.unprepare([refOf("a")], signal)));
  await settle();
  for (const cancel of cancels) cancel.abort(new Error("the kubelet cancelled the call"));
  await settle();
  assert.deepEqual(calls.filter(({ is }) => is === "pending"), []);
  assert.equal(ports.journal.claims.size, 1);
});

Deno.test("unprepare() that waits keeps nobody from handing the lead over", async () => {
  const { ports, active, agent } = await withBrokenCdi();
  const calls = [1, 2, 3].map(() => active.unprepare([refOf("a")], never));
  await settle();
  const left = outcomeOf(active.leave().then(() => agent.close()));
  await settle();
  assert.equal(left.is, "done");
  await Promise.all(calls);
  assert.equal(ports.journal.claims.size, 1);
});

Deno.test("one claim that cannot be unprepared holds up no other of the same call", async () => {
  const { agent, ports, prepare } = await startAgent();
  for (const name of ["a", "b"]) await prepare(name, { pods: ["p"] });
  agent.attach(aSandbox("p"));
  await settle();
  ports.cni.during = ({ command, network }) => {
    if (command === "DEL" && network === "network-a") throw new Error("no DHCP daemon");
  };
  agent.detach("p");
  const both = agent.unprepare([refOf("a"), refOf("b")], never);
  await settle();
  assert.deepEqual(await agent.unprepare([refOf("b")], never), new Map([["uid-b", {}]]));
  await ports.clock.advance(41_000);
  assert.match((await both).get("uid-a")?.error ?? "", /no DHCP daemon/);
  assert.deepEqual((await both).get("uid-b"), {});
});

Deno.test("unprepare() takes nothing from a pod that uses the claim, and says so", async () => {
  const { agent, ports, prepare, gate, unprepare } = await startAgent();
  await prepare("a", { pods: ["p"] });
  agent.attach(aSandbox("p"));
  await gate("p", ["test/claim=uid-a"]);
  // The kubelet deletes another pod that names the claim, and unprepares it for that.
  assert.deepEqual(await unprepare("a"), {});
  await ports.clock.advance(60_000);
  assert.deepEqual(ports.cni.log, ["ADD net1"]);
  assert.deepEqual(ports.cdi.shown, ["uid-a+"]);
  assert.equal(ports.cluster.applied.get("uid-a")?.[0]?.conditions[0]?.status, "True");
  const said =
    /the kubelet has unprepared claim default\/a while pod default\/p uses it: its networks stay/;
  assert.ok(ports.log.lines.some((line) => said.test(line)));
  assert.deepEqual(
    ports.events.lines.filter((line) => said.test(line)).map((line) => line.split(":")[0]),
    ["NetworkKept ResourceClaim/a", "NetworkKept Pod/p"],
  );
  // Once more, it is not said again.
  assert.deepEqual(await unprepare("a"), {});
  assert.equal(ports.events.lines.filter((line) => said.test(line)).length, 2);
});

Deno.test("unprepare() keeps nothing for a pod on the host's network, whose end may not be reported", async () => {
  const { agent, ports, prepare, unprepare } = await startAgent();
  await prepare("a", { pods: ["p"] });
  const { netns: _, ...onHost } = aSandbox("p");
  agent.attach(onHost);
  await settle();
  assert.deepEqual(await unprepare("a"), {});
  assert.equal(ports.journal.claims.size, 0);
  assert.deepEqual(ports.cdi.shown, []);
  assert.ok(!ports.log.lines.some((line) => /its networks stay/.test(line)));
});

Deno.test("an unprepared claim goes with the last pod that uses it, without a further call", async (t) => {
  await t.step("by the same agent, as soon as DEL succeeds", async () => {
    const { agent, ports, prepare, store, gate, unprepare } = await startAgent();
    await prepare("a", { pods: ["p"] });
    agent.attach(aSandbox("p"));
    await gate("p");
    store("a", { pods: ["p", "q"] });
    agent.attach(aSandbox("q"));
    await gate("q");
    await unprepare("a");
    agent.detach("p");
    await ports.clock.advance(60_000);
    assert.deepEqual([...ports.cni.attached], ["q/net1"]);
    assert.equal(ports.journal.claims.size, 1);
    let broken = true;
    ports.cni.during = () => {
      if (broken) throw new Error("IPAM is gone");
    };
    agent.detach("q");
    await ports.clock.advance(60_000);
    assert.equal(ports.journal.claims.size, 1);
    broken = false;
    await ports.clock.advance(120_000);
    assert.equal(ports.cni.attached.size, 0);
    assert.equal(ports.journal.claims.size + ports.journal.attachments.size, 0);
    assert.deepEqual(ports.cdi.shown, []);
    await agent.close();
  });
  for (const how of ["stops after the restart", "has stopped meanwhile"] as const) {
    await t.step(`by the next agent, when the sandbox ${how}`, async () => {
      const first = await startAgent();
      const { ports } = first;
      await first.prepare("a", { pods: ["p"] });
      first.agent.attach(aSandbox("p"));
      await first.gate("p");
      await first.unprepare("a");
      await first.agent.close();
      const next = await startAgent(ports, how === "stops after the restart" ? ["p"] : []);
      if (how === "stops after the restart") {
        assert.equal(ports.journal.claims.size, 1);
        next.agent.detach("p");
      }
      await ports.clock.advance(1_000);
      assert.equal(ports.cni.attached.size, 0);
      assert.equal(ports.journal.claims.size + ports.journal.attachments.size, 0);
      await next.agent.close();
    });
  }
});

Deno.test("a claim that is prepared again stays when the pod ends that used it while it was unprepared", async () => {
  const { agent, ports, prepare, gate, unprepare } = await startAgent();
  await prepare("a", { pods: ["p"] });
  agent.attach(aSandbox("p"));
  await gate("p");
  await unprepare("a");
  assert.equal((await prepare("a", { pods: ["p", "q"] })).error, undefined);
  agent.detach("p");
  await ports.clock.advance(60_000);
  assert.deepEqual([...ports.journal.claims.keys()], ["uid-a"]);
  agent.attach(aSandbox("q"));
  await gate("q", ["test/claim=uid-a"]);
  agent.detach("q");
  assert.deepEqual(await unprepare("a"), {});
  assert.equal(ports.journal.claims.size, 0);
  await agent.close();
});

Deno.test("unprepare() detaches what the runtime did not tell the end of, when the namespace is gone", async () => {
  const { agent, ports, prepare, gate, unprepare } = await startAgent();
  await prepare("a", { pods: ["p"] });
  agent.attach(aSandbox("p"));
  await gate("p");
  ports.namespaces.gone.add("/var/run/netns/p");
  assert.deepEqual(await unprepare("a"), {});
  assert.equal(ports.cni.attached.size, 0);
  assert.equal(ports.journal.claims.size, 0);
});

for (const at of ["DEL", "the CDI files", "the removal of the record"] as const) {
  Deno.test(`a pod that joins a claim while it is unprepared has its network: during ${at}`, async () => {
    const { agent, ports, prepare, store, gate, unprepare } = await startAgent();
    await prepare("a", { pods: ["p", "q"] });
    agent.attach(aSandbox("p"));
    await gate("p");
    const slow = Promise.withResolvers<void>();
    let broken = at === "the CDI files";
    if (at === "DEL") {
      ports.cni.during = async ({ command }) => {
        if (command === "DEL") await slow.promise;
      };
    }
    if (at === "the removal of the record") {
      ports.journal.before = async (change) => {
        if (change === "removeClaim") await slow.promise;
      };
    }
    ports.cdi.before = (change) => {
      if (broken && change === "refuseStart") throw new Error("EIO");
    };
    agent.detach("p");
    const unprepared = unprepare("a");
    await settle();
    store("a", { pods: ["q"] });
    agent.attach(aSandbox("q"));
    await settle();
    broken = false;
    slow.resolve();
    await ports.clock.advance(1_000);
    assert.deepEqual(await unprepared, {});
    await gate("q", ["test/claim=uid-a"]);
    assert.deepEqual([...ports.cni.attached], ["q/net1"]);
    assert.deepEqual(ports.cdi.shown, ["uid-a+"]);
    assert.ok(ports.journal.claims.get("uid-a")?.unprepared);
    await ports.clock.advance(3_000);
    assert.equal(ports.cluster.applied.get("uid-a")?.[0]?.conditions[0]?.status, "True");
    agent.detach("q");
    await ports.clock.advance(1_000);
    assert.equal(ports.journal.claims.size + ports.journal.attachments.size, 0);
    await agent.close();
  });
}

Deno.test("a pod of which nothing is on record joins a claim while it is unprepared: its containers wait, an event says for what, and it has its network", async (t) => {
  for (const names of ["names the claim", "names no claim"] as const) {
    await t.step(`a container that ${names}`, async () => {
      const { agent, ports, prepare, store, gate, unprepare } = await startAgent();
      await prepare("a", { pods: ["p"] });
      agent.attach(aSandbox("p"));
      await gate("p");
      const slow = Promise.withResolvers<void>();
      ports.cni.during = async ({ command }) => {
        if (command === "DEL") await slow.promise;
      };
      agent.detach("p");
      const unprepared = unprepare("a");
      await settle();
      store("a", { pods: ["q"] });
      agent.attach(aSandbox("q"));
      const container = gate("q", names === "names the claim" ? ["test/claim=uid-a"] : []);
      const outcome = outcomeOf(container);
      await ports.clock.advance(20_000);
      assert.equal(outcome.is, "pending");
      assert.deepEqual(ports.events.lines, [
        "NetworkWaiting Pod/q: containers wait: cannot tell yet whether pod default/q uses claim " +
        "default/a: the kubelet is preparing or unpreparing it for another pod",
      ]);
      slow.resolve();
      await ports.clock.advance(15_000);
      assert.deepEqual(await unprepared, {});
      await container;
      assert.deepEqual([...ports.cni.attached], ["q/net1"]);
      agent.detach("q");
      await ports.clock.advance(1_000);
      assert.equal(ports.journal.claims.size + ports.journal.attachments.size, 0);
      await agent.close();
    });
  }
});

Deno.test("an Unprepare during which the last pod that uses the claim ends waits for that one's DELs too", async () => {
  const { agent, ports, prepare, store, gate, unprepare } = await startAgent();
  await prepare("a", { pods: ["p", "q"] });
  for (const pod of ["p", "q"]) {
    agent.attach(aSandbox(pod));
    await gate(pod);
  }
  store("a", { pods: ["q"] });
  const dels = new Map(["p", "q"].map((pod) => [pod, Promise.withResolvers<void>()]));
  ports.cni.during = async ({ command, runtime }) => {
    if (command === "DEL") await dels.get(runtime.containerID)!.promise;
  };
  agent.detach("p");
  const answer = unprepare("a");
  await settle();
  agent.detach("q");
  dels.get("p")!.resolve();
  const outcome = outcomeOf(answer);
  await settle();
  assert.deepEqual([...ports.cni.attached], ["q/net1"]);
  assert.equal(outcome.is, "pending");
  dels.get("q")!.resolve();
  assert.deepEqual(await answer, {});
  assert.deepEqual([...ports.cni.attached], []);
  await agent.close();
});

Deno.test("a pod that comes right after a claim was unprepared has its network, although the agent was restarted", async () => {
  const first = await startAgent();
  await first.prepare("a", { pods: ["p"] });
  // Its answer may not reach the kubelet, which takes the claim as prepared then.
  await first.unprepare("a");
  await first.agent.close();
  const { agent, ports, store, gate } = await startAgent(first.ports);
  store("a", { pods: ["q"] });
  agent.attach(aSandbox("q"));
  await gate("q");
  assert.deepEqual([...ports.cni.attached], ["q/net1"]);
  assert.equal(ports.journal.departed.size, 0);
  agent.detach("q");
  await ports.clock.advance(2_000);
  assert.equal(ports.journal.claims.size, 0);
  await agent.close();
});

Deno.test("an unprepared claim is remembered for some minutes, and one that was made for a pod is not", async () => {
  const { agent, ports, prepare, unprepare } = await startAgent();
  await prepare("shared", { pods: ["p"] });
  const template = aSharedClaim("own", { pods: ["p"] });
  const owner = { kind: "Pod", name: "p", uid: "uid-p", controller: true };
  ports.cluster.claims.set("default/own", {
    ...template,
    metadata: { ...template.metadata, ownerReferences: [owner] },
  });
  assert.equal((await agent.prepare([refOf("own")], never)).get("uid-own")?.error, undefined);
  await unprepare("shared");
  await unprepare("own");
  assert.deepEqual([...ports.journal.departed.keys()], ["uid-shared"]);
  const end = new AbortController();
  const upkeep = agent.upkeep({ interval: 0, repair: false, gcNetworks: [] }, end.signal);
  await ports.clock.advance(4 * 60_000);
  assert.equal(ports.journal.departed.size, 1);
  await ports.clock.advance(2 * 60_000);
  assert.equal(ports.journal.departed.size, 0);
  end.abort();
  await upkeep;
  await agent.close();
});

Deno.test("a pod that comes right after a claim was unprepared has its network, also when the claim has other devices by then", async (t) => {
  await t.step("as it was", async () => {
    const { agent, ports, prepare, store, gate, unprepare } = await startAgent();
    await prepare("a", { pods: ["p"] });
    assert.deepEqual(await unprepare("a"), {});
    store("a", { pods: ["q"] });
    agent.attach(aSandbox("q"));
    await gate("q");
    assert.deepEqual([...ports.cni.attached], ["q/net1"]);
    await agent.close();
  });
  await t.step("with other devices", async () => {
    const { agent, ports, prepare, store, gate, unprepare } = await startAgent();
    await prepare("a", { pods: ["p"] });
    assert.deepEqual(await unprepare("a"), {});
    store("a", { pods: ["q"], device: "eth9" });
    agent.attach(aSandbox("q"));
    await gate("q");
    const [record] = [...ports.journal.claims.values()];
    assert.deepEqual(record?.attachments.map(({ device }) => device), ["eth9"]);
    assert.deepEqual([...ports.cni.attached], ["q/net1"]);
    // No further call may come.
    agent.detach("q");
    await ports.clock.advance(2_000);
    assert.equal(ports.journal.claims.size, 0);
    await agent.close();
  });
  await t.step("a pod that does not use it waits for nothing", async () => {
    const { agent, ports, prepare, gate, unprepare } = await startAgent();
    await prepare("a", { pods: ["p"] });
    assert.deepEqual(await unprepare("a"), {});
    ports.cluster.claims.delete("default/a");
    agent.attach(aSandbox("other"));
    await gate("other");
    assert.deepEqual(ports.cni.log, []);
    await agent.close();
  });
});
