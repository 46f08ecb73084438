/**
 * What the agent does of its own accord, with the real plugins: CHECK, repair, GC, what a crash or a
 * reboot left, and what an administrator wants forgotten.
 */
import { create } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type Container,
  ContainerSchema,
  type PodSandbox,
  PodSandboxSchema,
} from "../../proto/gen/nri/nri_pb.ts";
import type { ClaimRef } from "../../mod/claim/attachment.ts";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { SimulatedKubelet } from "../../mod/simulator/kubelet.ts";
import { NriRuntime } from "../../mod/simulator/nri_runtime.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { type NetworkOptions, storeClaim } from "../support/claims.ts";
import { cli } from "../support/cli.ts";

const driver = "dra.networking";
const LIMIT = 15_000;
const [pluginFolder] = await fetchCniPlugins();
let numbers = 0;

interface Pod {
  readonly name: string;
  readonly claim: ClaimRef;
  readonly sandbox: PodSandbox;
}

/** A node with an agent as a process of its own; kubelet, runtime and API server are simulated. */
class Bench {
  readonly api = new SimulatedApiServer();
  readonly kubelet: SimulatedKubelet;
  readonly runtime: NriRuntime;
  readonly pods: PodSandbox[] = [];
  readonly containers: Container[] = [];
  agent!: AgentProcess;

  private constructor(readonly folder: string) {
    this.kubelet = new SimulatedKubelet({ kubeletDir: join(folder, "kubelet") });
    this.runtime = new NriRuntime({
      socketPath: join(folder, "nri.sock"),
      inventory: () => ({ pods: this.pods, containers: this.containers }),
    });
  }

  static async start(...flags: string[]): Promise<Bench> {
    const bench = new Bench(await Deno.makeTempDir({ dir: "/run" }));
    bench.api.start();
    bench.api.addNode("node-1");
    await Deno.mkdir(bench.plugins);
    await Deno.writeTextFile(join(bench.folder, "kubeconfig"), bench.api.kubeconfig());
    bench.runtime.start();
    await bench.kubelet.start();
    await bench.startAgent(...flags);
    return bench;
  }

  /** Plugins of the test's own, beside the real ones. */
  get plugins(): string {
    return join(this.folder, "plugins");
  }

  get stateDir(): string {
    return join(this.folder, "state");
  }

  async startAgent(...flags: string[]): Promise<void> {
    const { folder } = this;
    this.agent = new AgentProcess([
      ...["--node-name", "node-1", "--driver-name", driver, "--listen", ""],
      ...["--kubelet-dir", join(folder, "kubelet"), "--nri-socket", join(folder, "nri.sock")],
      ...["--state-dir", this.stateDir, "--cdi-dir", join(folder, "cdi")],
      ...["--kubeconfig", join(folder, "kubeconfig")],
      ...["--cni-path", `${this.plugins}:${pluginFolder}`, ...flags],
    ]);
    await this.agent.ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.end("SIGKILL");
    await this.kubelet.stop();
    this.runtime.stop();
    await this.api.stop();
    for (const { name } of this.pods) await ip(["netns", "delete", name]).catch(() => {});
    await Deno.remove(this.folder, { recursive: true });
  }

  /** Runs a pod with one container, which has its network. */
  async run(network: Partial<NetworkOptions> = {}): Promise<Pod> {
    const name = `rec${++numbers}`;
    const uid = crypto.randomUUID();
    const networks = [{ name: `lan-${name}`, subnet: 100 + numbers, ...network }];
    const claim = storeClaim(this.api, {
      name: `claim-${name}`,
      driver,
      networks,
      pods: [{ name, uid }],
    });
    const answers = await this.kubelet.prepare(driver, [claim]);
    assert.equal(answers[claim.uid]?.error, "");
    const pod = { name, claim, sandbox: await this.sandbox(name, uid) };
    await this.begin(pod);
    return pod;
  }

  async sandbox(name: string, uid: string): Promise<PodSandbox> {
    await ip(["netns", "add", name]);
    return create(PodSandboxSchema, {
      id: crypto.randomUUID().replaceAll("-", ""),
      name,
      uid,
      namespace: "default",
      linux: { namespaces: [{ type: "network", path: `/var/run/netns/${name}` }] },
    });
  }

  async begin({ name, sandbox }: Pod): Promise<void> {
    await this.runtime.runPodSandbox(sandbox);
    const container = create(ContainerSchema, {
      id: `container-${name}`,
      podSandboxId: sandbox.id,
      name: "main",
    });
    await this.runtime.createContainer(sandbox, container);
    this.pods.push(sandbox);
    this.containers.push(container);
  }

  async stop({ name, sandbox }: Pod): Promise<void> {
    await this.runtime.stopPodSandbox(sandbox);
    await ip(["netns", "delete", name]);
    this.pods.splice(this.pods.indexOf(sandbox), 1);
  }

  async unprepare({ claim }: Pod): Promise<string> {
    return (await this.kubelet.unprepare(driver, [claim]))[claim.uid]!.error;
  }

  condition({ claim }: Pod): { status: string; reason: string; message: string } | undefined {
    const devices = this.api.get(claim.namespace, claim.name)?.status?.devices;
    return (devices?.[0]?.conditions as { status: string; reason: string; message: string }[])?.[0];
  }

  ready(pod: Pod): Promise<void> {
    return this.until(
      () => this.condition(pod)?.status === "True",
      () => `${pod.name}: ${JSON.stringify(this.condition(pod))}`,
    );
  }

  notReady(pod: Pod, reason: string): Promise<void> {
    return this.until(
      () => this.condition(pod)?.reason === reason,
      () => `${pod.name}: ${JSON.stringify(this.condition(pod))}`,
    );
  }

  async event(reason: string, { name }: { readonly name: string }): Promise<string> {
    const find = () =>
      this.api.events.all().find((event) =>
        event.reason === reason && event.involvedObject.name === name
      );
    await this.until(() => find() !== undefined, () => `no event ${reason} of ${name}`);
    return find()!.message;
  }

  async records(kind: "claims" | "attachments"): Promise<string[]> {
    const files = await Array.fromAsync(Deno.readDir(join(this.stateDir, kind)));
    return files.map(({ name }) => name);
  }

  async until(holds: () => boolean | Promise<boolean>, found: () => string): Promise<void> {
    const end = performance.now() + LIMIT;
    while (!await holds()) {
      if (performance.now() > end) throw new Error(`${found()}\n${this.agent.log}`);
      await pause(25);
    }
  }
}

/** Leaves out what only macvlan takes. */
const none = { master: undefined, mode: undefined };

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function addresses({ name }: Pod, family = "-4"): Promise<string[]> {
  const all = JSON.parse(
    await ip([family, "-n", name, "-j", "addr", "show", "scope", "global"]),
  ) as { ifname?: string; addr_info?: { local: string }[] }[];
  return all.flatMap(({ ifname, addr_info = [] }) =>
    addr_info.map(({ local }) => `${ifname} ${local}`)
  );
}

async function index({ name }: Pod, link = "net1"): Promise<number> {
  const [shown] = JSON.parse(await ip(["-n", name, "-j", "link", "show", link]));
  return (shown as { ifindex: number }).ifindex;
}

async function leases(network: string): Promise<string[]> {
  try {
    const all = await Array.fromAsync(Deno.readDir(`/var/lib/cni/networks/${network}`));
    return all.map((entry) => entry.name).filter((lease) => /^[0-9a-f]+[.:]/.test(lease));
  } catch {
    return [];
  }
}

Deno.test("an interface that is lost shows within a round of CHECK, and as repaired with --repair", async () => {
  await using bench = await Bench.start("--check-interval", "300ms");
  const pod = await bench.run();
  const well = await bench.run();
  await bench.ready(pod);
  await ip(["-n", pod.name, "link", "delete", "net1"]);
  await bench.notReady(pod, "NetworkInterfaceLost");
  assert.match(bench.condition(pod)!.message, /type="macvlan".* failed \(check\): .*net1/);
  assert.match(
    await bench.event("NetworkLost", pod),
    /^network "lan-rec\d+" \(interface net1, .*\) is lost: .*: delete the pod to have it anew$/,
  );
  const health = bench.kubelet.watchHealth(driver, AbortSignal.timeout(5_000));
  const { value } = await health[Symbol.asyncIterator]().next();
  // The device is shared with one that is well.
  assert.match(value.devices[0].message, /^1 of 2 networks: network "lan-rec/);
  assert.equal(value.devices[0].health, 1);
  assert.equal(bench.condition(well)?.status, "True");
  // Without --repair it stays as it is.
  await pause(1_000);
  assert.deepEqual(await addresses(pod), []);

  await bench.agent.end();
  await bench.startAgent("--check-interval", "300ms", "--repair");
  await bench.ready(pod);
  assert.equal((await addresses(pod)).length, 1);
  assert.deepEqual(await bench.api.get("default", pod.claim.name)!.status!.devices!.length, 1);
  const lan = `lan-${pod.name}`;
  assert.equal((await leases(lan)).length, 1);
  for (const each of [pod, well]) {
    await bench.stop(each);
    assert.equal(await bench.unprepare(each), "");
    assert.deepEqual(await leases(`lan-${each.name}`), []);
  }
  assert.equal(await bench.agent.end(), 0);
});

Deno.test("CHECK takes what is whole for whole: every plugin, and a device that is in the pod", async () => {
  await ip(["link", "add", "nic0", "type", "veth", "peer", "name", "nic0p"]);
  await using bench = await Bench.start("--check-interval", "100ms", "--repair");
  const pods = [
    await bench.run(),
    await bench.run({ chained: [{ type: "tuning", mtu: 1400 }] }),
    await bench.run({ type: "tap", config: none }),
    await bench.run({ type: "bridge", config: { ...none, bridge: "br-r" } }),
    await bench.run({ type: "ptp", config: none }),
    await bench.run({
      type: "host-device",
      device: "nic0",
      config: none,
    }),
  ];
  for (const pod of pods) await bench.ready(pod);
  // The device's interface left the node for the pod: long enough to be noticed.
  await pause(4_000);
  assert.deepEqual(pods.map((pod) => bench.condition(pod)?.status), pods.map(() => "True"));
  assert.deepEqual(bench.api.events.all(), []);
  const checks = bench.agent.lines.filter(({ msg }) => /cannot check|is lost/.test(msg));
  assert.deepEqual(checks, []);
  for (const pod of pods) {
    await bench.stop(pod);
    assert.equal(await bench.unprepare(pod), "");
    assert.deepEqual(await leases(`lan-${pod.name}`), []);
  }
  await ip(["link", "delete", "br-r"]);
  await ip(["link", "delete", "nic0p"]);
});

Deno.test("a device that is removed while attached: Ready False at once, and anew when it is back", async () => {
  const add = async () => {
    await ip(["link", "add", "lan0", "type", "veth", "peer", "name", "lan0p"]);
    await ip(["link", "set", "lan0", "up"]);
  };
  await add();
  await using bench = await Bench.start("--check-interval", "0");
  const shown = (wanted: boolean) =>
    bench.until(
      () => bench.api.slices.devices().some(({ name }) => name === "lan0") === wanted,
      () => `lan0 ${wanted ? "is not" : "is"} there`,
    );
  await shown(true);
  const pod = await bench.run({ device: "lan0", config: { master: undefined } });
  await bench.ready(pod);
  await ip(["link", "delete", "lan0"]);
  const began = performance.now();
  await bench.notReady(pod, "DeviceRemoved");
  assert.ok(performance.now() - began < 5_000);
  assert.match(
    bench.condition(pod)!.message,
    /^the interface of device lan0 is gone from the node: plugin type="macvlan"/,
  );
  assert.match(await bench.event("NetworkDeviceRemoved", pod), /device lan0 is gone/);
  const health = bench.kubelet.watchHealth(driver, AbortSignal.timeout(5_000));
  const { value } = await health[Symbol.asyncIterator]().next();
  assert.equal(value.devices[0].health, 2);
  assert.match(value.devices[0].message, /is lost: the interface of device lan0 is gone/);
  // An interface of that name is not what was attached: only CHECK says so.
  await add();
  await pause(3_000);
  assert.equal(bench.condition(pod)?.status, "False");
  await bench.agent.end();
  await bench.startAgent("--check-interval", "500ms", "--repair");
  await bench.ready(pod);
  assert.equal((await addresses(pod)).length, 1);
  await bench.stop(pod);
  assert.equal(await bench.unprepare(pod), "");
  assert.deepEqual(await leases(`lan-${pod.name}`), []);
  await ip(["link", "delete", "lan0"]);
});

Deno.test("a result that never came to the disk is recalled: the running pod keeps its interface", async () => {
  await using bench = await Bench.start();
  const pod = await bench.run();
  await bench.ready(pod);
  const before = [await index(pod), await addresses(pod)];
  await bench.agent.end("SIGKILL");
  // As an agent leaves it that dies before it wrote the result.
  const [file] = await bench.records("attachments");
  const path = join(bench.stateDir, "attachments", file!);
  const { attached, ...half } = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(path, JSON.stringify(half));
  await bench.startAgent();
  await bench.agent.logged(/^found network .* attached as it was$/);
  await bench.until(
    async () => (await Deno.readTextFile(path)).includes("attached"),
    () => "the result does not come to the disk",
  );
  assert.deepEqual([await index(pod), await addresses(pod)], before);
  const now = JSON.parse(await Deno.readTextFile(path)).attached;
  assert.deepEqual([now.result, now.networkData], [attached.result, attached.networkData]);
  await pause(1_000);
  assert.equal(bench.condition(pod)?.status, "True");

  // The same with an interface that is damaged: it is made anew.
  await bench.agent.end("SIGKILL");
  await Deno.writeTextFile(path, JSON.stringify(half));
  await ip(["-n", pod.name, "addr", "flush", "dev", "net1"]);
  await bench.startAgent();
  await bench.event("NetworkAttachedLate", pod);
  await bench.until(async () => (await addresses(pod)).length === 1, () => "no address");
  assert.notEqual(await index(pod), before[0]);
  await bench.stop(pod);
  assert.equal(await bench.unprepare(pod), "");
  assert.deepEqual(await leases(`lan-${pod.name}`), []);
});

Deno.test("after a reboot the leases of the old boot are freed, and new sandboxes attached", async () => {
  await ip(["link", "add", "nic1", "type", "veth", "peer", "name", "nic1p"]);
  await using bench = await Bench.start();
  const pods = [
    await bench.run(),
    await bench.run({ type: "bridge", config: { ...none, bridge: "br-boot", ipMasq: false } }),
    await bench.run({ type: "ptp", config: none }),
    await bench.run({ chained: [{ type: "tuning", mtu: 1400 }] }),
    await bench.run({ type: "host-device", device: "nic1", config: none }),
  ];
  const held = await Promise.all(pods.map(({ name }) => leases(`lan-${name}`)));
  assert.deepEqual(held.map(({ length }) => length), pods.map(() => 1));
  await bench.agent.end("SIGKILL");
  // What a reboot does: all namespaces and all that was made are gone, the disk is as it was.
  for (const { name } of pods) await ip(["netns", "delete", name]);
  await ip(["link", "delete", "br-boot"]);
  await Deno.remove(join(bench.folder, "cdi"), { recursive: true });
  // Runtimes list sandboxes of the old boot for a while, with the paths that they had.
  bench.pods.splice(3);
  bench.containers.splice(0);
  await bench.startAgent();
  await bench.until(
    async () => (await bench.records("attachments")).length === 0,
    () => "attachments of the old boot are left",
  );
  for (const { name } of pods) assert.deepEqual(await leases(`lan-${name}`), []);
  assert.equal((await bench.records("claims")).length, pods.length);

  // The kubelet takes a claim for prepared, and makes the pod's sandbox anew.
  const [pod] = pods;
  const again = { ...pod!, sandbox: await bench.sandbox(pod!.name, pod!.sandbox.uid) };
  bench.pods.splice(0);
  await bench.begin(again);
  await bench.ready(again);
  assert.equal((await addresses(again)).length, 1);
  await bench.stop(again);
  for (const each of pods) assert.equal(await bench.unprepare(each), "");
  assert.deepEqual(await leases(`lan-${pod!.name}`), []);
  assert.deepEqual(await bench.records("claims"), []);
});

Deno.test("a claim that is gone from the API server while nobody unprepares it is released", async () => {
  await using bench = await Bench.start();
  const [gone, used] = [await bench.run(), await bench.run()];
  await bench.agent.end("SIGKILL");
  // The kubelet has lost its books, and the pod is gone with its namespace.
  await ip(["netns", "delete", gone.name]);
  bench.pods.splice(bench.pods.indexOf(gone.sandbox), 1);
  bench.api.delete("default", gone.claim.name);
  bench.api.delete("default", used.claim.name);
  await bench.startAgent();
  await bench.until(
    async () => (await bench.records("claims")).length === 1,
    () => "the claim is not released",
  );
  assert.deepEqual(await bench.records("claims"), [`${used.claim.uid}.json`]);
  assert.deepEqual(await leases(`lan-${gone.name}`), []);
  // That of a pod that lives is never touched.
  assert.equal((await addresses(used)).length, 1);
  await bench.stop(used);
  assert.equal(await bench.unprepare(used), "");
});

Deno.test("network-dra forget lets go what cannot be detached, and frees what can be freed", async () => {
  await using bench = await Bench.start();
  const copy = join(bench.plugins, "macvlan-own");
  await Deno.copyFile(join(pluginFolder!, "macvlan"), copy);
  const pod = await bench.run({ type: "macvlan-own" });
  const forget = (claim: string) => cli(["forget", claim, "--state-dir", bench.stateDir]);
  const inUse = await forget(`default/${pod.claim.name}`);
  assert.equal(inUse.code, 1);
  assert.match(inUse.stderr, /is in use by pod default\/rec\d+: delete the pod first/);
  await Deno.remove(copy);
  await bench.stop(pod);
  await bench.event("NetworkDetachFailed", pod);
  assert.equal((await leases(`lan-${pod.name}`)).length, 1);
  const { code, stdout, stderr } = await forget(pod.claim.uid);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^forgot claim default\/claim-rec\d+ \(UID .*\)\ngave up detaching network/);
  assert.match(
    await bench.event("NetworkForgotten", pod),
    /macvlan-own.* is in none of the folders/,
  );
  assert.equal(await bench.unprepare(pod), "");
  assert.deepEqual([...await bench.records("claims"), ...await bench.records("attachments")], []);
  // Its IPAM plugin is there.
  assert.deepEqual(await leases(`lan-${pod.name}`), []);
  const unknown = await forget("default/nobody");
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /no claim "default\/nobody" is known on this node/);
  assert.deepEqual(
    (await Array.fromAsync(Deno.readDir(join(bench.stateDir, "requests")))).length,
    0,
  );
});

/** Keeps what it was given; speaks all versions. */
const RECORDER = `#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}' ;;
ADD) exec sed 's/.*"prevResult":\\({.*}\\)}$/\\1/' ;;
GC) cat >> FOLDER/gc; echo >> FOLDER/gc ;;
esac
`;

Deno.test("GC goes to the plugins of networks that are ours alone, with what is attached; no lease is lost", async () => {
  await using bench = await Bench.start("--gc-networks", "gc-ours", "--check-interval", "0");
  const script = RECORDER.replaceAll("FOLDER", bench.folder);
  await Deno.writeTextFile(join(bench.plugins, "recorder"), script, { mode: 0o755 });
  const network = (name: string) => ({
    name,
    subnet: 99,
    cniVersion: "1.1.0",
    chained: [{ type: "recorder" }],
  });
  const pods = [
    await bench.run(network("gc-ours")),
    await bench.run(network("gc-ours")),
    await bench.run(network("gc-theirs")),
  ];
  await bench.agent.end();
  // A lease that somebody else holds by the name of the other network.
  const foreign = "/var/lib/cni/networks/gc-theirs/10.10.99.77";
  await Deno.writeTextFile(foreign, "other-container\neth0");
  await bench.startAgent("--gc-networks", "gc-ours", "--check-interval", "0");
  const read = () => Deno.readTextFile(join(bench.folder, "gc")).catch(() => "");
  await bench.until(async () => await read() !== "", () => "no GC came");
  const collected = (await read()).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(new Set(collected.map(({ name }) => name)), new Set(["gc-ours"]));
  const valid = collected[0]["cni.dev/valid-attachments"] as { containerID: string }[];
  assert.deepEqual(
    valid.map(({ containerID }) => containerID).toSorted(),
    pods.slice(0, 2).map(({ sandbox }) => sandbox.id).toSorted(),
  );
  assert.equal((await leases("gc-ours")).length, 2);
  assert.ok((await leases("gc-theirs")).includes("10.10.99.77"));
  await Deno.remove(foreign);
  for (const pod of pods) {
    await bench.stop(pod);
    assert.equal(await bench.unprepare(pod), "");
  }
  assert.deepEqual([...await leases("gc-ours"), ...await leases("gc-theirs")], []);
});
