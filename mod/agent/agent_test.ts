import assert from "node:assert/strict";
import {
  aSandbox,
  type CniCall,
  type FakeCdi,
  type FakeCni,
  type FakeJournal,
  fakePorts,
  settle,
} from "../../tests/support/agent_fakes.ts";
import type { Policy } from "../claim/policy.ts";
import { Agent } from "./agent.ts";
import type { Sandbox } from "./model.ts";

const driver = "dra.networking";
const never = new AbortController().signal;

interface ClaimOptions {
  readonly uid?: string;
  /** Names of the pods that use it; their UIDs are `uid-<name>`. */
  readonly pods?: readonly string[];
  /** Interface names by request; an empty one is defaulted. */
  readonly requests?: Readonly<Record<string, string>>;
  /** Whether it was made from a template, for its first pod. */
  readonly fromTemplate?: boolean;
  readonly network?: Record<string, unknown>;
}

function aClaim(name: string, options: ClaimOptions = {}) {
  const { uid = `uid-${name}`, pods = ["p"], requests = { net: "" }, fromTemplate = true } =
    options;
  const config = { cniVersion: "1.0.0", name: `network-${name}`, plugins: [{ type: "macvlan" }] };
  const owner = { kind: "Pod", name: pods[0], uid: `uid-${pods[0]}`, controller: true };
  return {
    metadata: {
      namespace: "default",
      name,
      uid,
      ...(fromTemplate && { ownerReferences: [owner] }),
    },
    status: {
      allocation: {
        devices: {
          results: Object.keys(requests).map((request) => ({
            request,
            driver,
            pool: "node",
            device: `device-${request}`,
          })),
          config: Object.entries(requests).map(([request, ifName]) => ({
            source: "FromClaim",
            requests: [request],
            opaque: {
              driver,
              parameters: {
                ...(ifName && { interface: ifName }),
                config: { ...config, ...options.network },
              },
            },
          })),
        },
      },
      reservedFor: pods.map((pod) => ({ resource: "pods", name: pod, uid: `uid-${pod}` })),
    },
  };
}

interface SetUpOptions {
  readonly journal?: FakeJournal;
  readonly cni?: FakeCni;
  readonly cdi?: FakeCdi;
  readonly policy?: Policy;
}

function setUp(from: SetUpOptions = {}) {
  const fresh = fakePorts();
  const ports = {
    ...fresh,
    cni: from.cni ?? fresh.cni,
    journal: from.journal ?? fresh.journal,
    cdi: from.cdi ?? fresh.cdi,
  };
  const agent = new Agent(ports, {
    driver,
    concurrency: 4,
    policy: from.policy ?? { trustClaims: true },
  });
  const store = (claim: ReturnType<typeof aClaim>) => {
    ports.cluster.claims.set(`default/${claim.metadata.name}`, claim);
    const { namespace, name, uid } = claim.metadata;
    return { namespace, name, uid };
  };
  const prepare = (...claims: ReturnType<typeof aClaim>[]) =>
    agent.prepare(claims.map(store), never);
  const gate = (sandbox: Sandbox, cdiDevices: string[] = []) =>
    agent.gate(sandbox, { cdiDevices, signal: never });
  return { ...ports, agent, store, prepare, gate };
}

const ref = (name: string) => ({ namespace: "default", name, uid: `uid-${name}` });

Deno.test("prepare() records the claim and gives its devices to the kubelet", async () => {
  const { prepare, journal } = setUp();
  const answers = await prepare(aClaim("a", { requests: { x: "eth1", "y/sub": "" } }));
  assert.deepEqual(answers.get("uid-a"), {
    devices: [
      { requestNames: ["x"], pool: "node", device: "device-x", cdiDeviceIds: ["test/claim=uid-a"] },
      {
        requestNames: ["y"],
        pool: "node",
        device: "device-y/sub",
        cdiDeviceIds: ["test/claim=uid-a"],
      },
    ],
  });
  const record = journal.claims.get("uid-a")!;
  assert.deepEqual(record.attachments.map(({ ifName }) => ifName), ["eth1", "net1"]);
  assert.deepEqual(record.pods, [{ name: "p", uid: "uid-p" }]);
});

Deno.test("prepare() of a claim that is prepared gives the same answer", async () => {
  const { agent, prepare, journal } = setUp();
  const first = await prepare(aClaim("a"));
  const record = journal.claims.get("uid-a");
  assert.deepEqual(await agent.prepare([ref("a")], never), first);
  assert.deepEqual(journal.claims.get("uid-a"), record);
});

Deno.test("prepare() refuses what the policy does not allow, before anything is done", async () => {
  const { prepare, journal, cni, events } = setUp({ policy: {} });
  const answers = await prepare(
    aClaim("a", {
      pods: ["p", "q"],
      fromTemplate: false,
      network: { plugins: [{ type: "portmap" }] },
    }),
  );
  const { error } = answers.get("uid-a")!;
  const path = "status.allocation.devices.config[0].opaque.parameters.config.plugins[0].type";
  assert.equal(
    error,
    `claim default/a: request net: ${path}: refused by policy: claims may not use the plugin ` +
      '"portmap": it changes the node\'s packet filter (an administrator can change ' +
      "policy.plugins.portmap in the agent's configuration file)",
  );
  assert.deepEqual(journal.claims.size, 0);
  assert.deepEqual(cni.calls, []);
  assert.deepEqual(
    events.lines,
    ["ResourceClaim/a", "Pod/p", "Pod/q"].map((about) =>
      `NetworkRefusedByPolicy ${about}: ${error}`
    ),
  );
});

Deno.test("prepare() of a claim that was prepared under another policy holds it to the present one", async () => {
  const before = setUp();
  const claim = aClaim("a", { network: { plugins: [{ type: "macvlan", master: "eth9" }] } });
  await before.prepare(claim);
  const sandbox = aSandbox("s", "p");
  before.agent.attach(sandbox);
  await before.gate(sandbox);

  const after = setUp({ ...before, policy: { plugins: { macvlan: { master: ["eth1"] } } } });
  await after.agent.load();
  const { error } = (await after.agent.prepare([ref("a")], never)).get("uid-a")!;
  assert.match(error!, /refused by policy: "eth9" is not allowed; the policy allows "eth1"/);
  await after.agent.reconcile([sandbox], new Set());
  await settle();
  assert.equal(after.agent.counts().attachments.attached, 1, "what is attached stays");

  const again = setUp({ ...before, policy: {} });
  await again.agent.load();
  again.store(claim);
  assert.equal((await again.agent.prepare([ref("a")], never)).get("uid-a")!.error, undefined);
  assert.equal(again.cluster.reads, 1, "only whether it is allocated as before");
});

Deno.test("prepare() gives nobody an interface that others are on", async () => {
  const { prepare, devices } = setUp();
  devices.interfaces.set("device-net", "eth7");
  const onHost = { plugins: [{ type: "host-device" }] };
  const errorOf = async (name: string, network: Record<string, unknown>) =>
    (await prepare(aClaim(name, { pods: [name], network }))).get(`uid-${name}`)!.error;
  assert.equal(await errorOf("a", {}), undefined);
  assert.equal(
    await errorOf("b", onHost),
    "claim default/b: request net: host-device would take eth7 from claim default/a, which uses " +
      "it: it must be the only claim on its interface",
  );
  devices.interfaces.set("device-net", "eth8");
  const named = { plugins: [{ type: "host-device", device: "eth8" }] };
  assert.match((await errorOf("c", named))!, /take eth8 from claim default\/a/);
});

Deno.test("prepare() lets nobody on an interface that host-device takes", async () => {
  const { prepare, devices } = setUp();
  devices.interfaces.set("device-net", "eth7");
  const errorOf = async (name: string, network: Record<string, unknown>) =>
    (await prepare(aClaim(name, { pods: [name], network }))).get(`uid-${name}`)!.error;
  assert.equal(await errorOf("a", { plugins: [{ type: "host-device" }] }), undefined);
  assert.match(
    (await errorOf("b", {}))!,
    /^claim default\/b: request net: it would use eth7, which host-device takes for claim default\/a/,
  );
});

Deno.test("prepare() takes an interface that is named while others hold the device for networks with none", async () => {
  const { prepare } = setUp();
  const onCni = (name: string, plugin: Record<string, unknown>) => {
    const claim = aClaim(name, { pods: [name], network: { plugins: [plugin] } });
    claim.status.allocation.devices.results[0]!.device = "cni";
    return claim;
  };
  await prepare(onCni("a", { type: "bridge" }));
  const answers = await prepare(onCni("b", { type: "host-device", device: "eth8" }));
  assert.equal(answers.get("uid-b")!.error, undefined);
  const after = await prepare(onCni("c", { type: "bridge" }));
  assert.equal(after.get("uid-c")!.error, undefined);
});

Deno.test("prepare() uses the administrator's network that a claim names", async () => {
  const { agent, store, networks, journal } = setUp({ policy: { networks: ["open-*"] } });
  const network = { cniVersion: "1.0.0", name: "", plugins: [{ type: "portmap" }] };
  for (const name of ["open-lan", "other"]) networks.networks.set(name, { ...network, name });
  const prepare = async (networkName: string) => {
    const claim = aClaim("a", { uid: `uid-${networkName}` });
    const [config] = claim.status.allocation.devices.config;
    const parameters = { apiVersion: "dra.networking/v1alpha1", kind: "Network", networkName };
    Object.assign(config!.opaque, { parameters });
    const answers = await agent.prepare([store(claim)], never);
    return answers.get(`uid-${networkName}`)!.error;
  };
  assert.equal(await prepare("open-lan"), undefined);
  assert.equal(journal.claims.get("uid-open-lan")!.attachments[0]!.network.name, "open-lan");
  assert.match(
    (await prepare("other"))!,
    /parameters\.networkName: refused by policy: .* may not use network "other" .* change policy\.networks /,
  );
  assert.match((await prepare("none"))!, /parameters\.networkName: there is no network "none"/);
});

Deno.test("what is attached keeps the configuration of a named network, and what comes later gets the new one", async () => {
  const { agent, store, networks, journal } = setUp();
  const set = (type: string) =>
    networks.networks.set("lan", { cniVersion: "1.0.0", name: "lan", plugins: [{ type }] });
  const prepare = async (name: string) => {
    const claim = aClaim(name, { pods: [name] });
    const [config] = claim.status.allocation.devices.config;
    const parameters = {
      apiVersion: "dra.networking/v1alpha1",
      kind: "Network",
      networkName: "lan",
    };
    Object.assign(config!.opaque, { parameters });
    const answers = await agent.prepare([store(claim)], never);
    assert.equal(answers.get(`uid-${name}`)!.error, undefined);
    agent.attach(aSandbox(name));
    await settle();
  };
  const attached = () =>
    [...journal.attachments.values()].map(({ attachment }) => attachment.network.plugins[0]!.type);
  set("bridge");
  await prepare("a");
  set("ipvlan");
  await prepare("b");
  assert.deepEqual(attached(), ["bridge", "ipvlan"]);
  networks.networks.clear();
  agent.detach("a");
  await settle();
  assert.deepEqual(attached(), ["ipvlan"]);
});

Deno.test("prepare() fills the allocated device's interface in, and refuses another", async () => {
  const { prepare, journal, devices } = setUp();
  devices.interfaces.set("device-net", "eth7");
  await prepare(aClaim("a"));
  const [attachment] = journal.claims.get("uid-a")!.attachments;
  assert.equal(attachment!.network.plugins[0]!.master, "eth7");
  const other = { plugins: [{ type: "macvlan", master: "eth0" }] };
  const answers = await prepare(aClaim("b", { network: other }));
  assert.match(
    answers.get("uid-b")!.error!,
    /^claim default\/b: request net: .*plugins\[0\]\.master: "eth0" is not the interface of the allocated device device-net/,
  );
});

Deno.test("prepare() names interfaces so that they are unique in the pod", async (t) => {
  const cases: Record<string, { claims: Record<string, string>[]; names: string[] }> = {
    "defaults of two claims": { claims: [{ x: "" }, { x: "" }], names: ["net1", "net2"] },
    "a default beside a given name that comes later": {
      claims: [{ x: "" }, { x: "net1" }],
      names: ["net2", "net1"],
    },
    "defaults within a claim": {
      claims: [{ x: "", y: "net2", z: "" }],
      names: ["net1", "net2", "net3"],
    },
  };
  for (const [name, { claims, names }] of Object.entries(cases)) {
    await t.step(name, async () => {
      const { prepare, journal } = setUp();
      await prepare(...claims.map((requests, i) => aClaim(`c${i}`, { requests })));
      const given = [...journal.claims.values()]
        .toSorted((a, b) => a.claim.name.localeCompare(b.claim.name))
        .flatMap(({ attachments }) => attachments.map(({ ifName }) => ifName));
      assert.deepEqual(given, names);
    });
  }
});

Deno.test("prepare() refuses a name that another claim of the pod has, and prepares the other", async () => {
  const { prepare, journal } = setUp();
  const answers = await prepare(
    aClaim("a", { requests: { x: "eth1" } }),
    aClaim("b", { requests: { y: "eth1" } }),
  );
  const errors = [...answers.values()].map(({ error }) => error ?? "");
  const refused = errors.find((error) => error !== "")!;
  assert.match(refused, /the interface name "eth1" is requested twice in the pod/);
  assert.match(refused, /claim default\/a request x/);
  assert.match(refused, /claim default\/b request y/);
  assert.equal(journal.claims.size <= 1, true);
});

Deno.test("prepare() refuses, says why, and leaves nothing on disk", async (t) => {
  const cases: Record<string, {
    claim?: ReturnType<typeof aClaim>;
    uid?: string;
    verify?: () => void;
    cluster?: () => void;
    says: RegExp;
  }> = {
    "a claim that is gone": { says: /claim default\/a \(UID uid-a\) is gone/ },
    "a claim made anew": {
      claim: aClaim("a", { uid: "uid-new" }),
      says: /claim default\/a has UID uid-new, but the kubelet asks for uid-a/,
    },
    "bad parameters": {
      claim: aClaim("a", { network: { plugins: [{ type: "a/b" }] } }),
      says:
        /claim default\/a: request net: status\.allocation\.devices\.config\[0\]\.opaque\.parameters\.config\.plugins\[0\]\.type: "a\/b"/,
    },
    "a plugin that is missing": {
      claim: aClaim("a"),
      verify: () => {
        throw new Error('plugin type="macvlan" is in none of the folders /opt/cni/bin');
      },
      says: /claim default\/a: request net: .*none of the folders \/opt\/cni\/bin/,
    },
    "an API server that is away": {
      claim: aClaim("a"),
      cluster: () => {
        throw new Error("no answer from https://10.96.0.1");
      },
      says: /no answer from https:\/\/10\.96\.0\.1/,
    },
  };
  for (const [name, { claim, verify, cluster: fault, says }] of Object.entries(cases)) {
    await t.step(name, async () => {
      const { agent, store, cni, cluster, journal } = setUp();
      if (claim) store(claim);
      if (verify) cni.verifying = verify;
      if (fault) cluster.during = fault;
      const answers = await agent.prepare([ref("a")], never);
      assert.match(answers.get("uid-a")?.error ?? "", says);
      assert.equal(journal.claims.size, 0);
      assert.equal(journal.attachments.size, 0);
    });
  }
});

Deno.test("prepare() that cannot write its record fails, and succeeds when it can", async () => {
  const { agent, prepare, journal } = setUp();
  journal.before = () => {
    throw new Error("no space left on device");
  };
  assert.match((await prepare(aClaim("a"))).get("uid-a")?.error ?? "", /no space left/);
  journal.before = () => {};
  assert.equal((await agent.prepare([ref("a")], never)).get("uid-a")?.error, undefined);
});

Deno.test("attach() of a pod without claims does nothing at all", async () => {
  const { agent, prepare, gate, cni, cluster } = setUp();
  await prepare(aClaim("a"));
  const { reads } = cluster;
  agent.attach(aSandbox("s1", "other"));
  await gate(aSandbox("s1", "other"));
  agent.detach("s1");
  await settle();
  assert.deepEqual(cni.log, []);
  assert.equal(cluster.reads, reads);
});

Deno.test("attach() has containers created that come at once, whatever the disk does", async () => {
  const { agent, prepare, gate, journal, cdi } = setUp();
  await prepare(aClaim("a"));
  const disk = Promise.withResolvers<void>();
  journal.before = () => disk.promise;
  agent.attach(aSandbox("s1", "p"));
  // No more than the answer to the runtime takes, which waits for nothing outside the process.
  for (let turns = 0; turns < 10; turns++) await Promise.resolve();
  assert.deepEqual(cdi.shown, ["uid-a"]);
  disk.resolve();
  await gate(aSandbox("s1", "p"));
  await agent.close();
});

Deno.test("a pod goes its whole way: attached, let in, shown, detached, forgotten", async () => {
  const { agent, prepare, gate, cni, cluster, cdi, clock, journal } = setUp();
  await prepare(aClaim("a", { requests: { net: "net1" } }));
  agent.attach(aSandbox("s1", "p"));
  assert.deepEqual(cni.log, []);
  await gate(aSandbox("s1", "p"), ["test/claim=uid-a"]);
  assert.deepEqual([...cni.attached], ["s1/net1"]);
  assert.deepEqual(cdi.shown, ["uid-a+"]);
  await clock.advance(600);
  assert.deepEqual(cluster.applied.get("uid-a"), [{
    driver,
    pool: "node",
    device: "device-net",
    conditions: [{
      type: "Ready",
      status: "True",
      reason: "NetworkInterfaceReady",
      message: "attached as net1",
      lastTransitionTime: "2026-01-01T00:00:00.000Z",
    }],
    data: { cniVersion: "1.0.0", interfaces: [{ name: "net1", sandbox: "/var/run/netns/s1" }] },
    networkData: { interfaceName: "net1", ips: ["10.0.0.2/24"] },
  }]);
  agent.detach("s1");
  assert.deepEqual(await agent.unprepare([ref("a")], never), new Map([["uid-a", {}]]));
  assert.deepEqual(cni.log, ["ADD net1", "DEL net1"]);
  assert.equal(journal.claims.size + journal.attachments.size + cdi.shown.length, 0);
  await clock.advance(600);
  assert.deepEqual(cluster.applied.get("uid-a"), []);
});

Deno.test("a failed attach shows as Ready False with its cause, and as True once it succeeded", async () => {
  const { agent, prepare, gate, cni, cluster, clock } = setUp();
  await prepare(aClaim("a"));
  let broken = true;
  cni.during = ({ command }: CniCall) => {
    if (broken && command === "ADD") throw new Error("no address left");
  };
  agent.attach(aSandbox("s1", "p"));
  await assert.rejects(
    gate(aSandbox("s1", "p")),
    /network "network-a" \(interface net1, claim default\/a\) is not ready: no address left/,
  );
  await clock.advance(600);
  const condition = () => cluster.applied.get("uid-a")?.[0]?.conditions[0];
  assert.equal(condition()?.reason, "NetworkInterfaceNotReady");
  assert.equal(condition()?.message, "no address left");
  broken = false;
  await clock.advance(10_000);
  assert.equal(condition()?.status, "True");
});

Deno.test("what happens is counted: claims, gates, states and records", async () => {
  const { traces, agent, prepare, gate, cni, clock, metrics } = setUp();
  const none = {
    attaching: 0,
    attached: 0,
    lost: 0,
    attach_failed: 0,
    detaching: 0,
    detach_failed: 0,
  };
  assert.deepEqual(agent.counts(), { attachments: none, records: { claim: 0, attachment: 0 } });
  await agent.gate(aSandbox("other"), { cdiDevices: [], signal: never });
  await prepare(aClaim("a"));
  cni.during = () => clock.sleep(100);
  agent.attach(aSandbox("s1", "p"));
  assert.deepEqual(agent.counts().attachments, { ...none, attaching: 1 });
  const open = gate(aSandbox("s1", "p"));
  await clock.advance(100);
  await open;
  assert.deepEqual(agent.counts(), {
    attachments: { ...none, attached: 1 },
    records: { claim: 1, attachment: 1 },
  });
  agent.detach("s1");
  assert.deepEqual(agent.counts().attachments, { ...none, detaching: 1 });
  await clock.advance(100);
  await agent.unprepare([ref("a")], never);
  assert.deepEqual(agent.counts(), { attachments: none, records: { claim: 0, attachment: 0 } });

  await agent.prepare([ref("unknown")], never);
  await prepare(aClaim("b"));
  cni.during = () => {
    throw new Error("no address left");
  };
  agent.attach(aSandbox("s2", "p"));
  await assert.rejects(gate(aSandbox("s2", "p")));
  assert.deepEqual(agent.counts().attachments, { ...none, attach_failed: 1 });
  cni.during = () => new Promise(() => {});
  await clock.advance(1000);
  const over = new AbortController();
  const late = agent.gate(aSandbox("s2", "p"), { cdiDevices: [], signal: over.signal });
  await settle();
  over.abort();
  await assert.rejects(late);
  assert.deepEqual(metrics.counted.filter((line) => !line.startsWith("status")), [
    "prepared ok",
    "gate opened 0.1",
    "unprepared ok",
    "prepared error",
    "prepared ok",
    "gate refused 0",
    "gate timeout 0",
  ]);
  assert.deepEqual(
    traces.steps.filter((step) => / gate /.test(step)).map((step) =>
      step.split(" ").slice(0, 3).join(" ")
    ),
    ["p gate 0.1", "p gate 0", "p gate 0"],
  );
});

Deno.test("the sandbox of a pod that was made anew is attached; a late stop of the old one does not touch it", async () => {
  const { agent, prepare, gate, cni } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"));
  agent.attach(aSandbox("s2", "p"));
  await gate(aSandbox("s2", "p"));
  agent.detach("s1");
  await settle();
  assert.deepEqual([...cni.attached], ["s2/net1"]);
});

Deno.test("the CDI files are there as long as one sandbox of the claim lives", async () => {
  const { agent, prepare, cdi, cni } = setUp();
  await prepare(aClaim("a"));
  await settle();
  assert.deepEqual(cdi.shown, []);
  const attach = Promise.withResolvers<void>();
  cni.during = ({ command }) => command === "ADD" ? attach.promise : undefined;
  agent.attach(aSandbox("s1", "p"));
  agent.attach(aSandbox("s2", "p"));
  agent.detach("s1");
  await settle();
  assert.deepEqual(cdi.shown, ["uid-a"]);
  attach.resolve();
  await settle();
  assert.deepEqual(cdi.shown, ["uid-a+"]);
  agent.detach("s2");
  await settle();
  assert.deepEqual(cdi.shown, []);
});

Deno.test("containers that name a claim start once its networks are on record", async () => {
  const { agent, prepare, gate, cdi, journal } = setUp();
  await prepare(aClaim("a", { requests: { x: "", y: "" } }));
  const puts = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let results = 0;
  journal.before = (change) => change === "putResult" ? puts[results++]!.promise : undefined;
  agent.attach(aSandbox("s1", "p"));
  const letIn = gate(aSandbox("s1", "p"), ["test/claim=uid-a"]);
  puts[0]!.resolve();
  await settle();
  assert.deepEqual(cdi.shown, ["uid-a"], "one of two");
  puts[1]!.resolve();
  await letIn;
  assert.deepEqual(cdi.shown, ["uid-a+"]);
});

Deno.test("gate() waits for the CDI file without which the container would not start", async () => {
  const { agent, prepare, cdi, clock } = setUp();
  await prepare(aClaim("a"));
  let full = true;
  cdi.before = (change) => {
    if (change === "allowStart" && full) throw new Error("cannot write a.attached: no space left");
  };
  agent.attach(aSandbox("s1", "p"));
  const due = new AbortController();
  // Not every runtime says here which claims the container names.
  const options = { cdiDevices: [], signal: due.signal };
  const refused = assert.rejects(
    agent.gate(aSandbox("s1", "p"), options),
    /containers that name claim default\/a cannot start yet: cannot write a\.attached: no space left/,
  );
  await clock.advance(1_000);
  due.abort();
  await refused;
  full = false;
  const later = agent.gate(aSandbox("s1", "p"), { ...options, signal: never });
  await clock.advance(10_000);
  await later;
  assert.deepEqual(cdi.shown, ["uid-a+"]);
});

Deno.test("containers of a shared claim start as long as one of its pods has its networks", async () => {
  const { agent, prepare, gate, cni, cdi } = setUp();
  await prepare(aClaim("a", { pods: ["p", "q"], fromTemplate: false }));
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"), ["test/claim=uid-a"]);
  cni.during = ({ command }) => {
    if (command === "ADD") throw new Error("no address left");
  };
  agent.attach(aSandbox("s2", "q"));
  await settle();
  assert.deepEqual(cdi.shown, ["uid-a+"]);
  agent.detach("s1");
  await settle();
  assert.deepEqual(cdi.shown, ["uid-a"]);
  await agent.close();
});

Deno.test("containers read what their claim got, of a claim that pods share only what is theirs too", async () => {
  const { agent, prepare, store, gate, cdi, devices } = setUp();
  const mtu = { int: 1500 };
  devices.attributes.set("device-x", { mtu });
  const options = { fromTemplate: false, requests: { x: "", y: "" } };
  const claim = aClaim("a", options);
  const annotations = { "resource.kubernetes.io/pod-claim-name": "nets" };
  await prepare({ ...claim, metadata: { ...claim.metadata, ...{ annotations } } });
  const read = () => {
    const { devices, ...rest } = cdi.metadata.get("uid-a")!;
    return [
      rest,
      ...devices.map(({ device, attributes, networkData }) => [
        device,
        attributes,
        networkData,
      ]),
    ];
  };
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"));
  const about = { claim: ref("a"), podClaimName: "nets" };
  const alone = [
    about,
    ["device-x", { mtu }, { interfaceName: "net1", ips: ["10.0.0.2/24"] }],
    ["device-y", {}, { interfaceName: "net2", ips: ["10.0.0.2/24"] }],
  ];
  assert.deepEqual(read(), alone);
  store(aClaim("a", { ...options, pods: ["p", "q"] }));
  agent.attach(aSandbox("s2", "q"));
  await gate(aSandbox("s2", "q"));
  assert.deepEqual(read(), [
    about,
    ["device-x", { mtu }, { interfaceName: "net1" }],
    ["device-y", {}, { interfaceName: "net2" }],
  ]);
  agent.detach("s2");
  await settle();
  assert.deepEqual(read(), alone);
});

Deno.test("the name of a claim in its pod is kept on record where it is one", async () => {
  for (const [name, kept] of [["nets", "nets"], ["../etc", undefined], ["", undefined]] as const) {
    const { prepare, journal } = setUp();
    const claim = aClaim("a");
    const annotations = { "resource.kubernetes.io/pod-claim-name": name };
    await prepare({ ...claim, metadata: { ...claim.metadata, ...{ annotations } } });
    assert.equal(journal.claims.get("uid-a")?.podClaimName, kept, name);
  }
});

Deno.test("unprepare() waits for DEL, and says what it waits for before the kubelet gives up", async () => {
  const { agent, prepare, gate, cni, clock, journal } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"));
  let broken = true;
  cni.during = () => {
    if (broken) throw new Error("IPAM is gone");
  };
  agent.detach("s1");
  const answer = agent.unprepare([ref("a")], never);
  await clock.advance(44_000);
  assert.match(
    (await answer).get("uid-a")?.error ?? "",
    /network "network-a" \(interface net1, claim default\/a\) is still attached: IPAM is gone/,
  );
  assert.equal(journal.claims.size, 1);
  broken = false;
  const next = agent.unprepare([ref("a")], never);
  await clock.advance(10_000);
  assert.deepEqual((await next).get("uid-a"), {});
  assert.equal(journal.claims.size + journal.attachments.size, 0);
});

Deno.test("unprepare() of a claim nobody knows succeeds", async () => {
  const { agent } = setUp();
  assert.deepEqual(await agent.unprepare([ref("x")], never), new Map([["uid-x", {}]]));
});

Deno.test("unprepare() detaches even when the sandbox's stop never came", async () => {
  const { agent, prepare, gate, cni } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"));
  assert.deepEqual((await agent.unprepare([ref("a")], never)).get("uid-a"), {});
  assert.equal(cni.attached.size, 0);
});

Deno.test("gate() attaches for a sandbox whose start was missed", async () => {
  const { prepare, gate, cni } = setUp();
  await prepare(aClaim("a"));
  await gate(aSandbox("s1", "p"));
  assert.deepEqual([...cni.attached], ["s1/net1"]);
});

Deno.test("gate() refuses a container whose claim is not known here", async () => {
  const { prepare, gate } = setUp();
  await assert.rejects(
    gate(aSandbox("s1", "p"), ["other/x=1", "test/claim=uid-lost"]),
    /the claim uid-lost of pod default\/p is not known on this node/,
  );
  await prepare(aClaim("a"));
  await assert.rejects(
    gate(aSandbox("s2", "stranger"), ["test/claim=uid-a"]),
    /the claim uid-a is not reserved for pod default\/stranger/,
  );
});

Deno.test("a second pod that shares a claim is attached although it is not prepared again", async () => {
  const { agent, prepare, store, gate, cni, cluster, clock, journal } = setUp();
  await prepare(aClaim("a", { fromTemplate: false }));
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"));
  store(aClaim("a", { fromTemplate: false, pods: ["p", "q"] }));
  const message = async () => {
    await clock.advance(3_000);
    return cluster.applied.get("uid-a")?.[0]?.conditions[0]?.message;
  };
  const attach = Promise.withResolvers<void>();
  cni.during = ({ command }) => command === "ADD" ? attach.promise : undefined;
  agent.attach(aSandbox("s2", "q"));
  assert.equal(await message(), "attached as net1");
  attach.resolve();
  await gate(aSandbox("s2", "q"), ["test/claim=uid-a"]);
  assert.deepEqual([...cni.attached], ["s1/net1", "s2/net1"]);
  assert.deepEqual(journal.claims.get("uid-a")?.pods.map(({ name }) => name), ["p", "q"]);
  assert.equal(await message(), "attached as net1 in 2 pods");
});

Deno.test("prepare() names interfaces with regard to claims that the pod shares, which are not prepared again", async (t) => {
  const shared = (...pods: string[]) => aClaim("a", { fromTemplate: false, pods });
  await t.step("a default beside them", async () => {
    const { agent, prepare, store, gate, cni } = setUp();
    await prepare(shared("p"));
    store(shared("p", "q"));
    await prepare(aClaim("b", { pods: ["q"] }), aClaim("c", { pods: ["q"] }));
    agent.attach(aSandbox("s2", "q"));
    await gate(aSandbox("s2", "q"));
    assert.deepEqual([...cni.attached], ["s2/net1", "s2/net2", "s2/net3"]);
  });
  await t.step("a name that is given to both", async () => {
    const { prepare, store } = setUp();
    await prepare(shared("p"));
    store(shared("p", "q"));
    const answers = await prepare(aClaim("b", { pods: ["q"], requests: { x: "net1" } }));
    assert.match(
      answers.get("uid-b")!.error!,
      /"net1" is requested twice in the pod: by claim default\/a request net and by claim default\/b/,
    );
  });
  await t.step("which cannot be told", async () => {
    const { prepare, cluster } = setUp();
    await prepare(shared("p"));
    cluster.getPodClaims = () => Promise.reject(new Error("connection refused"));
    const answers = await prepare(aClaim("b", { pods: ["q"] }));
    assert.match(
      answers.get("uid-b")!.error!,
      /cannot tell which claims pod default\/q shares: connection refused/,
    );
  });
});

Deno.test("while it cannot be told whether a pod shares a claim, its containers wait", async () => {
  const { agent, prepare, gate, cluster, clock } = setUp();
  await prepare(aClaim("a", { fromTemplate: false }));
  cluster.during = () => {
    throw new Error("connection refused");
  };
  agent.attach(aSandbox("s2", "q"));
  await settle();
  const over = new AbortController();
  const waiting = agent.gate(aSandbox("s2", "q"), { cdiDevices: [], signal: over.signal });
  over.abort();
  await assert.rejects(
    waiting,
    /cannot tell yet whether pod default\/q uses claim default\/a: connection refused/,
  );
  cluster.during = () => {};
  await clock.advance(1000);
  await gate(aSandbox("s2", "q"));
});

Deno.test("after a restart: what is attached stays, what is half done is done again, what is orphaned goes", async () => {
  const before = setUp();
  for (const [name, pod] of [["a", "p"], ["b", "q"], ["c", "r"]] as const) {
    await before.prepare(aClaim(name, { pods: [pod] }));
  }
  for (const [id, pod] of [["sp", "p"], ["sq", "q"]] as const) {
    before.agent.attach(aSandbox(id, pod));
    await before.gate(aSandbox(id, pod));
  }
  await settle();
  // The third was cut off in the middle of ADD.
  before.cni.during = () => new Promise(() => {});
  before.agent.attach(aSandbox("sr", "r"));
  await settle();
  before.cni.during = () => {};
  before.cni.calls.length = 0;

  const { agent, cni, gate, journal, clock, log, events } = setUp(before);
  await agent.load();
  await settle();
  assert.deepEqual(cni.log, []);
  await agent.reconcile([aSandbox("sp", "p"), aSandbox("sr", "r")], new Set(["sr"]));
  await gate(aSandbox("sp", "p"));
  await gate(aSandbox("sr", "r"));
  await settle();
  const commands = cni.calls.map(({ command, runtime }) => `${command} ${runtime.containerID}`);
  assert.deepEqual(commands.toSorted(), ["ADD sr", "DEL sq", "DEL sr"]);
  assert.deepEqual([...cni.attached].toSorted(), ["sp/net1", "sr/net1"]);
  assert.equal(journal.attachments.size, 2);
  assert.ok(log.lines.some((line) => /containers of pod default\/r started without/.test(line)));
  assert.deepEqual(events.lines, [
    'NetworkAttachedLate Pod/r: containers started without network "network-c" ' +
    "(interface net1, claim default/c): attaching it late",
  ]);
  await clock.advance(1000);
});

Deno.test("reconcile() takes a listed sandbox whose namespace is gone for stopped", async () => {
  const { agent, prepare, gate, cni, namespaces } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"));
  namespaces.gone.add("/var/run/netns/s1");
  await agent.reconcile([aSandbox("s1", "p")], new Set());
  await settle();
  assert.deepEqual(cni.log, ["ADD net1", "DEL net1"]);
  assert.equal(cni.calls[1]?.runtime.netns, "");
});

Deno.test("reconcile() keeps a sandbox that the runtime lists without its namespace", async () => {
  const { agent, prepare, gate, cni } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"));
  await agent.reconcile([{ ...aSandbox("s1", "p"), netns: undefined }], new Set());
  await settle();
  assert.deepEqual(cni.log, ["ADD net1"]);
});

Deno.test("reconcile() does not forget claims whose sandbox is yet to come", async () => {
  const { agent, prepare, gate, cni } = setUp();
  await prepare(aClaim("a"));
  await agent.reconcile([], new Set());
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"));
  assert.deepEqual([...cni.attached], ["s1/net1"]);
});

Deno.test("reconcile() removes CDI files of claims that are not prepared and writes those that are missing", async () => {
  const { agent, prepare, cdi } = setUp();
  await prepare(aClaim("a"), aClaim("b", { pods: ["q"] }));
  cdi.specs.add("uid-b").add("uid-unknown");
  cdi.attached.add("uid-b").add("uid-half");
  await agent.reconcile([aSandbox("s1", "p")], new Set());
  await settle();
  assert.deepEqual(cdi.shown, ["uid-a+", "uid-b"]);
});

Deno.test("a sandbox that the runtime was starting when the agent connected, and left out, gets its networks", async () => {
  const { agent, prepare, gate, cdi, cni } = setUp();
  const unprepare = async () => (await agent.unprepare([ref("a")], never)).get("uid-a");
  await prepare(aClaim("a"));
  assert.deepEqual(cdi.shown, []);
  await agent.reconcile([], new Set());
  await settle();
  // Its containers are created, for nothing else tells of it, and do not start yet.
  assert.deepEqual(cdi.shown, ["uid-a"]);
  await gate(aSandbox("s1", "p"));
  assert.deepEqual(cdi.shown, ["uid-a+"]);
  assert.deepEqual(cni.log, ["ADD net1"]);
  agent.detach("s1");
  await settle();
  assert.deepEqual(cdi.shown, []);
  // Where none comes, its end is that of the claim.
  await agent.reconcile([], new Set());
  await settle();
  assert.deepEqual(cdi.shown, ["uid-a"]);
  assert.deepEqual(await unprepare(), {});
  await settle();
  assert.deepEqual(cdi.shown, []);
  await agent.close();
});

Deno.test("close() takes the CDI files of what is not attached, so that no container starts without", async () => {
  const { agent, prepare, gate, cni, cdi } = setUp();
  await prepare(aClaim("a"), aClaim("b", { pods: ["q"] }));
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"));
  cni.during = () => {
    throw new Error("no address left");
  };
  agent.attach(aSandbox("s2", "q"));
  await settle();
  assert.deepEqual(cdi.shown, ["uid-a+", "uid-b"]);
  await agent.close();
  assert.deepEqual(cdi.shown, ["uid-a+"]);
});

Deno.test("while the runtime is not connected, no container that names a claim is created", async () => {
  const { agent, prepare, gate, cni, cdi } = setUp();
  await prepare(aClaim("a"), aClaim("b", { pods: ["q"] }));
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"));
  cni.during = () => {
    throw new Error("no address left");
  };
  agent.attach(aSandbox("s2", "q"));
  await settle();
  agent.disconnected();
  await settle();
  // One that was created before the connection was lost starts.
  assert.deepEqual(cdi.shown, ["(uid-a)+"]);
  await agent.reconcile([aSandbox("s1", "p"), aSandbox("s2", "q")], new Set());
  await settle();
  assert.deepEqual(cdi.shown, ["uid-a+", "uid-b"]);
  await agent.close();
});

Deno.test("a sandbox that took another's place while the runtime was not connected waits", async () => {
  const { agent, prepare, gate, cni, cdi } = setUp();
  await prepare(aClaim("a"));
  agent.attach(aSandbox("s1", "p"));
  await gate(aSandbox("s1", "p"));
  agent.disconnected();
  await settle();
  cni.during = ({ command }) => {
    if (command === "ADD") throw new Error("no address left");
  };
  const changes: string[] = [];
  cdi.before = (change) => void changes.push(change);
  await agent.reconcile([aSandbox("s2", "p")], new Set());
  await settle();
  assert.deepEqual(changes, ["refuseStart", "allowCreate"]);
  assert.deepEqual(cdi.shown, ["uid-a"]);
  await agent.close();
});

Deno.test("load() takes the CDI specs that a crashed agent left, until the runtime has synchronized", async () => {
  const before = setUp();
  await before.prepare(aClaim("a"));
  before.agent.attach(aSandbox("s1", "p"));
  await before.gate(aSandbox("s1", "p"));
  const { agent, cdi } = setUp(before);
  assert.deepEqual(cdi.shown, ["uid-a+"]);
  await agent.load();
  await settle();
  assert.deepEqual(cdi.shown, ["(uid-a)+"]);
  await agent.reconcile([aSandbox("s1", "p")], new Set());
  await settle();
  assert.deepEqual(cdi.shown, ["uid-a+"]);
  await agent.close();
});

Deno.test("status entries are written again after a restart, with the time of the attach", async () => {
  const before = setUp();
  await before.prepare(aClaim("a"));
  before.agent.attach(aSandbox("s1", "p"));
  await before.gate(aSandbox("s1", "p"));
  await settle();
  await before.agent.close();
  const { agent, store, cluster, clock } = setUp(before);
  await clock.advance(3_600_000);
  store(aClaim("a"));
  await agent.load();
  await agent.reconcile([aSandbox("s1", "p")], new Set());
  await clock.advance(1000);
  const condition = cluster.applied.get("uid-a")?.[0]?.conditions[0];
  assert.equal(condition?.lastTransitionTime, "2026-01-01T00:00:00.000Z");
});

Deno.test("a pod on the host's network whose containers run: the claim says that it gets nothing", async () => {
  const { agent, prepare, cluster, clock } = setUp();
  await prepare(aClaim("a"));
  const { id, pod } = aSandbox("s1", "p");
  await agent.reconcile([{ id, pod }], new Set([id]));
  await clock.advance(1_000);
  const condition = cluster.applied.get("uid-a")?.[0]?.conditions[0];
  assert.equal(condition?.status, "False");
  assert.match(condition?.message ?? "", /uses the host's network/);
  await agent.close();
});

Deno.test("a pod that the runtime calls by another name than the API server gets nothing", async () => {
  const { agent, prepare, gate, cni } = setUp();
  await prepare(aClaim("a"));
  const sandbox = aSandbox("s", "p");
  const says = /calls the pod uid-p ".*", but claim default\/a is reserved for pod default\/p/;
  for (const wrong of [{ name: "q" }, { name: "p;K8S_POD_NAME=q" }, { namespace: "other" }]) {
    const other = { ...sandbox, pod: { ...sandbox.pod, ...wrong } };
    assert.throws(() => agent.attach(other), says);
    await assert.rejects(gate(other), says);
  }
  await settle();
  assert.deepEqual(cni.calls, []);
  agent.attach(sandbox);
  await gate(sandbox);
  await agent.close();
});

Deno.test("a sandbox whose id no plugin would take gets nothing, and nothing is recorded of it", async () => {
  const { agent, prepare, journal } = setUp();
  await prepare(aClaim("a"));
  for (const id of ["", "../x", "a b", "a;b", "\0", "x".repeat(300)]) {
    assert.throws(() => agent.attach(aSandbox(id, "p")), /is not a sandbox ID/);
  }
  await settle();
  assert.equal(journal.attachments.size, 0);
  assert.deepEqual(await agent.unprepare([ref("a")], never), new Map([["uid-a", {}]]));
  await agent.close();
});

Deno.test("reconcile() serves the other pods when the runtime tells nonsense of one", async () => {
  const { agent, prepare, gate, namespaces, log, cni } = setUp();
  await prepare(aClaim("a"), aClaim("b", { pods: ["q"] }), aClaim("c", { pods: ["r"] }));
  const [good, misnamed, unreadable] = [
    aSandbox("one", "p"),
    { ...aSandbox("two", "q"), pod: { namespace: "default", name: "not-q", uid: "uid-q" } },
    aSandbox("three", "r"),
  ];
  const classify = namespaces.classify.bind(namespaces);
  namespaces.classify = (path) => {
    if (path === unreadable.netns) throw new Error("this path cannot be looked at");
    return classify(path);
  };
  await agent.reconcile([misnamed, unreadable, good], new Set());
  await gate(good);
  assert.deepEqual(cni.log, ["ADD net1"]);
  assert.equal(log.lines.filter((line) => line.startsWith("error cannot attach")).length, 1);
  assert.ok(log.lines.some((line) => line.startsWith("warn cannot tell whether the sandbox of")));
  await agent.close();
});

Deno.test("a runtime that tells of sandboxes without end is stopped at 4096", async () => {
  const { agent, prepare, cni } = setUp();
  const never = Promise.withResolvers<void>();
  cni.during = () => never.promise;
  await prepare(aClaim("a"));
  for (let i = 0; i < 4096; i++) agent.attach(aSandbox(`s${i}`, "p"));
  assert.throws(
    () => agent.attach(aSandbox("one-more", "p")),
    /4096 sandboxes already have networks/,
  );
  agent.attach(aSandbox("s0", "p"));
  assert.equal(agent.counts().attachments.attaching, 4096);
  never.resolve();
  await agent.close();
});

Deno.test("sandboxes that went while the runtime was not connected make room for others", async () => {
  const { agent, prepare, gate } = setUp();
  await prepare(aClaim("a", { fromTemplate: false }));
  for (let i = 0; i < 4096; i++) agent.attach(aSandbox(`s${i}`));
  await settle();
  assert.throws(
    () => agent.attach(aSandbox("one-more")),
    /4096 sandboxes may share claims already/,
  );
  await agent.reconcile([], new Set());
  agent.attach(aSandbox("one-more"));
  await gate(aSandbox("one-more"));
});

Deno.test("claims are read and checked sixteen at a time", async () => {
  const { agent, store, cluster } = setUp();
  let [running, most] = [0, 0];
  cluster.during = async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 1));
    running--;
  };
  const claims = Array.from({ length: 100 }, (_, i) => store(aClaim(`c${i}`, { pods: [`p${i}`] })));
  const answers = await Promise.all(claims.map((claim) => agent.prepare([claim], never)));
  assert.ok(answers.every((answer) => [...answer.values()].every(({ error }) => !error)));
  assert.equal(most, 16);
  await agent.close();
});
