import assert from "node:assert/strict";
import {
  anAttachment,
  aSandbox,
  type CniCall,
  FakeClock,
  fakePorts,
  settle,
} from "../../../tests/support/agent_fakes.ts";
import { Agent } from "../agent.ts";
import type { AttachmentRecord } from "../model.ts";
import { attachmentsOf, claimsOf, devicesOf, sandboxesOf } from "./looked.ts";
import { snapshotOfRecords } from "./recorded.ts";

const driver = "dra.networking";
const never = new AbortController().signal;

function stored(name: string, { pod = name, device = "cni" } = {}) {
  const config = { cniVersion: "1.0.0", name: "lan", plugins: [{ type: "macvlan" }] };
  const opaque = { driver, parameters: { config } };
  const owner = { kind: "Pod", name: pod, uid: `uid-${pod}`, controller: true };
  return {
    metadata: { namespace: "default", name, uid: `uid-${name}`, ownerReferences: [owner] },
    status: {
      allocation: {
        devices: {
          results: [{ request: "net", driver, pool: "node", device }],
          config: [{ source: "FromClaim", requests: [], opaque }],
        },
      },
      reservedFor: [{ resource: "pods", name: pod, uid: `uid-${pod}` }],
    },
  };
}

const ref = (name: string) => ({ namespace: "default", name, uid: `uid-${name}` });

function setUp() {
  const ports = fakePorts();
  const agent = new Agent(ports, { driver, concurrency: 1, policy: { trustClaims: true } });
  const prepare = async (name: string, options = {}) => {
    ports.cluster.claims.set(`default/${name}`, stored(name, options));
    return (await agent.prepare([ref(name)], never)).get(`uid-${name}`)?.error;
  };
  const attachments = () => [...attachmentsOf(agent.look())];
  return { ...ports, agent, prepare, attachments };
}

/** `<pod> <state> <since> <error> <tries> <what it waits for>` of an attachment. */
function line(each: ReturnType<ReturnType<typeof setUp>["attachments"]>[number]): string {
  const { pod, state, since, error = "-", tries = 0, waitsFor = "-" } = each;
  return [pod.name, state, since?.slice(14, 19), error, tries, waitsFor].join(" | ");
}

Deno.test("an attachment says what it waits for, from its turn to its record", async () => {
  const { agent, cni, journal, clock, prepare, attachments } = setUp();
  const [plugins, disk] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  cni.during = () => plugins.promise;
  for (const name of ["a", "b"]) {
    assert.equal(await prepare(name), undefined);
    agent.attach(aSandbox(`s-${name}`, name));
  }
  await settle();
  assert.deepEqual(attachments().map(line), [
    "a | attaching | 00:00 | - | 0 | the CNI plugins: ADD runs",
    "b | attaching | 00:00 | - | 0 | its turn for ADD",
  ]);
  journal.before = (change) => change === "putResult" ? disk.promise : undefined;
  plugins.resolve();
  clock.set(65_000);
  await settle();
  const waits = attachments().map(line);
  assert.equal(waits[0], "a | attached | 01:05 | - | 0 | its record to be on disk");
  disk.resolve();
  await settle();
  assert.deepEqual(attachments().map(line), [
    "a | attached | 01:05 | - | 0 | -",
    "b | attached | 01:05 | - | 0 | -",
  ]);
  const [first] = attachments();
  assert.deepEqual(first, {
    pod: { namespace: "default", name: "a", uid: "uid-a" },
    sandbox: "s-a",
    claim: ref("a"),
    request: "net",
    device: "cni",
    network: "lan",
    plugins: ["macvlan"],
    interface: "net1",
    addresses: ["10.0.0.2/24"],
    state: "attached",
    since: "2026-01-01T00:01:05.000Z",
  });
  agent.detach("s-b");
  assert.equal(
    line(attachments()[1]!),
    "b | detaching | 01:05 | - | 0 | its turn in the pod, to be detached",
  );
  assert.deepEqual([...sandboxesOf(agent.look())].map(({ id, state }) => `${id} ${state}`), [
    "s-a running",
    "s-b stopped",
  ]);
  await agent.close();
});

Deno.test("an attachment that fails says the error, since when, how often, and when the next try is", async () => {
  const { agent, cni, clock, prepare, attachments } = setUp();
  cni.during = ({ command }: CniCall) => {
    if (command === "ADD") throw new Error("no address left");
  };
  await prepare("a");
  agent.attach(aSandbox("s-a", "a"));
  await clock.advance(1);
  assert.equal(
    line(attachments()[0]!),
    "a | attach_failed | 00:00 | no address left | 1 | the next try",
  );
  await clock.advance(1_000);
  const [each] = attachments();
  assert.ok(each!.tries! > 1);
  assert.equal(each!.since, "2026-01-01T00:00:00.000Z");
  assert.ok(Date.parse(each!.nextTry!) > clock.now().getTime());
  cni.during = () => {};
  await clock.advance(9_000);
  assert.match(line(attachments()[0]!), /^a \| attached \| 00:0\d \| - \| 0 \| -$/);
  await agent.close();
});

Deno.test("a claim is refused, prepared, or what the worst of its attachments is", async () => {
  const { agent, cni, devices, prepare } = setUp();
  const claims = () =>
    [...claimsOf(agent.look())].map(({ name, state, pods, waitsFor, tries = 0 }) =>
      `${name} ${state} ${pods} ${tries} ${waitsFor ?? "-"}`
    );
  cni.verifying = () => {
    throw new Error("there is no plugin");
  };
  assert.match((await prepare("bad"))!, /no plugin/);
  await prepare("bad");
  cni.verifying = () => {};
  await prepare("good");
  assert.deepEqual(claims(), [
    "bad refused  2 the kubelet to ask again",
    "good prepared good 0 a sandbox of its pod",
  ]);
  agent.attach(aSandbox("s", "good"));
  await settle();
  assert.equal(claims()[1], "good attached good 0 -");
  await prepare("bad");
  assert.deepEqual(claims(), ["good attached good 0 -", "bad prepared bad 0 a sandbox of its pod"]);
  devices.interfaces.set("eth0-3", "eth0");
  await prepare("third", { device: "eth0-3" });
  const known = [{ name: "cni", state: "up" }, {
    name: "eth0",
    interface: "eth0",
    state: "gone",
  }] as const;
  assert.deepEqual(
    devicesOf(known, agent.look()).map(({ name, state, claims, attachments }) =>
      `${name} ${state} ${claims} ${attachments}`
    ),
    ["cni up 2 1", "eth0 gone 1 0"],
    "numbered copies are the device's own",
  );
  await agent.close();
});

Deno.test("what a restart restores waits for the runtime, and is as old as its record", async () => {
  const { agent, journal, prepare } = setUp();
  await prepare("a");
  agent.attach(aSandbox("s-a", "a"));
  await settle();
  await agent.close();
  const [record] = journal.attachments.values();
  const { attached: _, ...begun } = record!;
  journal.attachments.set("begun", { ...begun, sandbox: aSandbox("s-b", "b"), add: "started" });
  const clock = new FakeClock();
  await clock.advance(3_600_000);
  const ports = { ...fakePorts(), journal, clock };
  const next = new Agent(ports, { driver, concurrency: 1, policy: { trustClaims: true } });
  await next.load();
  assert.deepEqual([...attachmentsOf(next.look())].map(line), [
    "a | attached | 00:00 | - | 0 | -",
    "b | attaching | 00:00 | - | 0 | the container runtime to say whether its sandbox lives",
  ]);
  await next.close();
});

Deno.test("snapshotOfRecords() tells of records what they tell", () => {
  const claim = ref("a");
  const attachment = anAttachment("net1");
  const networkData = { interfaceName: "net1", ips: ["10.0.0.2/24"] };
  const attached = { result: { cniVersion: "1.0.0" }, networkData, at: "2026-01-01T00:00:00Z" };
  const lost = {
    reason: "NetworkInterfaceLost",
    message: "it is gone",
    since: "2026-01-02T00:00:00Z",
  } as const;
  const records: Partial<AttachmentRecord>[] = [
    { add: "pending" },
    { add: "started" },
    { addFailed: true },
    { attached },
    { attached, lost },
  ];
  const { attachments, claims, devices, sandboxes } = snapshotOfRecords({
    claims: [{
      claim,
      pods: [{ name: "a", uid: "uid-a" }],
      shareable: false,
      attachments: [attachment],
    }],
    attachments: records.map((record, i) => ({
      ...record,
      claim,
      attachment,
      sandbox: aSandbox(`s${i}`, "a"),
    })),
  });
  assert.deepEqual(
    attachments.map(({ sandbox, state, since = "-", addresses, error = "-" }) =>
      `${sandbox} ${state} ${since} ${addresses} ${error}`
    ),
    [
      "s0 attaching -  -",
      "s1 unknown -  -",
      "s2 attach_failed -  -",
      "s3 attached 2026-01-01T00:00:00Z 10.0.0.2/24 -",
      "s4 lost 2026-01-02T00:00:00Z 10.0.0.2/24 it is gone",
    ],
  );
  assert.deepEqual(claims.map(({ state, attachments }) => `${state} ${attachments}`), [
    "attach_failed 5",
  ]);
  assert.deepEqual(devices, [{ name: "cni", state: "unknown", claims: 1, attachments: 5 }]);
  assert.equal(sandboxes.length, 5);
});
