import assert from "node:assert/strict";
import { anAttachment, aSandbox } from "../../../tests/support/agent_fakes.ts";
import { startAgent } from "../../../tests/support/agent_claims.ts";
import { assertInterfaceFree, type ClaimUser } from "./exclusive_interface.ts";

const claim = { namespace: "default", name: "a", uid: "uid-a" };
const attachment = anAttachment("net1", {
  device: "eth1",
  network: {
    cniVersion: "1.0.0",
    name: "n",
    plugins: [{ type: "host-device", device: "eth1" }],
  },
});

function user(id: string, state: { readonly wanted: boolean; readonly mayExist: boolean }) {
  return { sandbox: aSandbox(id), of: () => [{ claim, attachment, ...state }] };
}

Deno.test("assertInterfaceFree() lets one sandbox have an interface: who has it, or who came first", () => {
  const came = { wanted: true, mayExist: false };
  const has = { wanted: true, mayExist: true };
  const leaves = { wanted: false, mayExist: true };
  const gone = { wanted: false, mayExist: false };
  const taken = (id: string, users: readonly ClaimUser[], of = attachment) => {
    try {
      assertInterfaceFree({ sandbox: aSandbox(id), claim, attachment: of }, () => users);
      return undefined;
    } catch (error) {
      return (error as Error).message.split(" until")[0];
    }
  };
  const both = [user("p", came), user("q", came)];
  assert.equal(taken("p", both), undefined);
  assert.equal(taken("q", both), "eth1 belongs to pod default/p");
  assert.equal(taken("q", [user("p", has), user("q", came)]), "eth1 belongs to pod default/p");
  assert.equal(taken("q", [user("p", leaves), user("q", came)]), "eth1 belongs to pod default/p");
  assert.equal(taken("q", [user("p", gone), user("q", came)]), undefined);
  assert.equal(taken("p", [user("p", came), user("q", has)]), "eth1 belongs to pod default/q");
  assert.equal(taken("q", [user("p", has), user("q", has)]), undefined);
  assert.equal(taken("q", [user("p", has), user("q", came)], anAttachment("net1")), undefined);
});

Deno.test("of two pods that share an interface which moves, the second is told at once who has it, and gets it next", async () => {
  const { agent, ports, prepare, gate, unprepare } = await startAgent();
  ports.devices.interfaces.set("eth1", "eth1");
  await prepare("a", { pods: ["p", "q"], device: "eth1", plugin: { type: "host-device" } });
  agent.attach(aSandbox("p"));
  agent.attach(aSandbox("q"));
  await gate("p", ["test/claim=uid-a"]);
  await assert.rejects(
    gate("q", ["test/claim=uid-a"]),
    /claim default\/a\) is not ready: eth1 belongs to pod default\/p until that pod ends/,
  );
  await ports.clock.advance(60_000);
  // The first keeps interface, status and Ready; nothing was tried with the second.
  assert.deepEqual(ports.cni.log, ["ADD net1"]);
  assert.deepEqual([...ports.cni.attached], ["p/net1"]);
  const [status] = ports.cluster.applied.get("uid-a")!;
  assert.deepEqual(status?.conditions.map(({ status, message }) => ({ status, message })), [
    { status: "True", message: "attached as net1" },
  ]);
  assert.deepEqual(status?.networkData?.ips, ["10.0.0.2/24"]);
  assert.deepEqual(
    [...new Set(ports.events.lines.map((line) => line.split(":")[0]))],
    ["NetworkAttachFailed Pod/q"],
  );
  assert.match(ports.events.lines[0]!, /eth1 belongs to pod default\/p/);
  assert.deepEqual([...ports.journal.attachments.values()].map(({ sandbox }) => sandbox.id), ["p"]);
  agent.detach("p");
  await ports.clock.advance(10_000);
  await gate("q", ["test/claim=uid-a"]);
  assert.deepEqual([...ports.cni.attached], ["q/net1"]);
  agent.detach("q");
  await ports.clock.advance(1_000);
  assert.deepEqual(await unprepare("a"), {});
  await agent.close();
});
