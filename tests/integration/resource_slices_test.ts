/** The agent as a separate process, with the node's real interfaces and a simulated API server. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { stringify } from "yaml";
import type { StoredDevice } from "../../mod/simulator/stored_slice.ts";
import { SimulatedNode } from "../../mod/simulator/node.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { storeClaim } from "../support/claims.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";

const driver = "dra.networking";
/** What the node does is published within this, in milliseconds. */
const LIMIT = 5_000;

class Bench {
  agent!: AgentProcess;
  #file = "";

  private constructor(readonly node: SimulatedNode, readonly cniPath: string) {}

  static async start({ exclude = [], settings = {}, before = () => {} }: {
    /** Interfaces that are not devices. */
    readonly exclude?: readonly string[];
    readonly settings?: Readonly<Record<string, unknown>>;
    readonly before?: (node: SimulatedNode) => void;
  } = {}): Promise<Bench> {
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const node = new SimulatedNode({ name: "node-1", folder, driver, step: () => {} });
    await node.start();
    before(node);
    const bench = new Bench(node, (await fetchCniPlugins())[0]!);
    bench.#file = join(folder, "config.yaml");
    const interfaces = { exclude: [...exclude, ...await strangers()] };
    await Deno.writeTextFile(bench.#file, stringify({ interfaces, ...settings }));
    await bench.startAgent();
    return bench;
  }

  async startAgent(): Promise<void> {
    const { paths } = this.node;
    this.agent = new AgentProcess([
      ...["--node-name", "node-1", "--driver-name", driver, "--config", this.#file],
      ...["--kubelet-dir", paths.kubeletDir, "--nri-socket", paths.nriSocket],
      ...["--state-dir", paths.stateDir, "--cdi-dir", paths.cdiDir],
      ...["--kubeconfig", paths.kubeconfig, "--cni-path", this.cniPath],
    ]);
    await this.agent.ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const slices = this.slices.all().length;
    await this.agent.end();
    // What is published stays when the agent goes: it may be back in a moment.
    assert.equal(this.slices.all().length, slices);
    await this.node.stop();
  }

  get slices() {
    return this.node.api.slices;
  }

  device(name: string): StoredDevice | undefined {
    return this.slices.devices().find((device) => device.name === name);
  }

  /** `<name>` with `!` for one that has a taint. */
  shown(): string[] {
    return this.slices.devices().map(({ name, taints }) => `${name}${taints ? "!" : ""}`);
  }

  async shows(...expected: string[]): Promise<void> {
    await this.until(() => this.shown().join() === expected.join(), () => this.shown().join());
  }

  async until(holds: () => boolean, found: () => string): Promise<void> {
    const end = performance.now() + LIMIT;
    while (!holds()) {
      if (performance.now() > end) throw new Error(`after 5 s: ${found()}\n${this.agent.log}`);
      await pause(20);
    }
  }

  async prepare(device: string, config: Record<string, unknown>): Promise<string> {
    const claim = storeClaim(this.node.api, {
      name: `claim-${crypto.randomUUID().slice(0, 5)}`,
      driver,
      networks: [{ name: "net", subnet: 1, config, device }],
      pods: [{ name: "p", uid: crypto.randomUUID() }],
    });
    await this.node.kubelet.registered(driver);
    const answers = await this.node.kubelet.prepare(driver, [claim]);
    return answers[claim.uid]?.error ?? "no answer";
  }
}

/** Links that tests before these left in the private node. */
async function strangers(): Promise<string[]> {
  const all = JSON.parse(await ip(["-j", "link", "show"])) as { ifname: string }[];
  return all.map(({ ifname }) => ifname).filter((name) => name !== "eth0" && name !== "uplink");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

Deno.test("slices follow links that come, go, go down and get another name", async () => {
  await using bench = await Bench.start();
  await bench.shows("cni", "eth0", "uplink");
  const eth0 = bench.device("eth0")!;
  assert.equal(eth0.allowMultipleAllocations, true);
  assert.equal(eth0.capacity?.attachments?.value, "256");
  const { interface: name, type, mtu, state, mac, virtual, plugin_macvlan } = eth0
    .attributes as Record<string, Record<string, unknown>>;
  assert.deepEqual(
    [name, type, mtu, state, virtual, plugin_macvlan],
    [{ string: "eth0" }, { string: "veth" }, { int: 1500 }, { string: "up" }, { bool: true }, {
      bool: true,
    }],
  );
  assert.match(mac!.string as string, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
  const generation = () => bench.slices.all()[0]!.spec.pool.generation;
  const first = generation();

  try {
    await ip(["link", "add", "br.test", "type", "bridge"]);
    await bench.shows("br--2etest!", "cni", "eth0", "uplink");
    assert.equal(generation(), first + 1);
    await ip(["link", "set", "br.test", "up"]);
    await bench.shows("br--2etest", "cni", "eth0", "uplink");
    await ip(["link", "set", "br.test", "down"]);
    await ip(["link", "set", "br.test", "name", "lan"]);
    await bench.shows("cni", "eth0", "lan!", "uplink");
    await ip(["link", "set", "uplink", "down"]);
    await bench.shows("cni", "eth0!", "lan!", "uplink!");
    await ip(["link", "set", "uplink", "up"]);
    await bench.shows("cni", "eth0", "lan!", "uplink");
  } finally {
    await ip(["link", "delete", "lan"]);
  }
  await bench.shows("cni", "eth0", "uplink");
});

Deno.test("nothing is written while nothing changes, nor after a restart of the agent", async () => {
  await using bench = await Bench.start();
  await bench.shows("cni", "eth0", "uplink");
  await pause(500);
  const { writes } = bench.slices;
  await pause(5_000);
  assert.equal(bench.slices.writes, writes);
  await bench.agent.end("SIGKILL");
  await bench.startAgent();
  await pause(2_500);
  assert.equal(bench.slices.writes, writes);
});

Deno.test("slices that are deleted, and those of a watch that ended, are published again", async () => {
  await using bench = await Bench.start();
  await bench.shows("cni", "eth0", "uplink");
  bench.slices.deleteAll();
  await bench.shows("cni", "eth0", "uplink");
  bench.slices.endWatches();
  bench.slices.deleteAll();
  await bench.shows("cni", "eth0", "uplink");
});

Deno.test("the configuration says which interfaces are devices, and how many share one", async () => {
  const settings = { attachmentsPerInterface: 1000 };
  await using bench = await Bench.start({ exclude: ["up*"], settings });
  await bench.shows("cni", "eth0");
  assert.equal(bench.device("eth0")!.capacity?.attachments?.value, "1k");
});

Deno.test("where devices cannot be shared nor tainted, copies stand for those that are up", async () => {
  await using bench = await Bench.start({
    settings: { copiesPerInterface: 2 },
    before: ({ api }) => Object.assign(api.slices.features, { sharing: false, taints: false }),
  });
  await bench.shows("cni-0", "cni-1", "eth0-0", "eth0-1", "uplink-0", "uplink-1");
  await ip(["link", "set", "uplink", "down"]);
  await bench.shows("cni-0", "cni-1");
  await ip(["link", "set", "uplink", "up"]);
  await bench.shows("cni-0", "cni-1", "eth0-0", "eth0-1", "uplink-0", "uplink-1");
});

Deno.test("the allocated device's interface becomes the master, and no other is taken", async () => {
  await using bench = await Bench.start();
  assert.equal(await bench.prepare("uplink", { master: undefined }), "");
  const folder = join(bench.node.paths.stateDir, "claims");
  const [file] = await Array.fromAsync(Deno.readDir(folder));
  const record = await Deno.readTextFile(join(folder, file!.name));
  assert.match(record, /"master":\s*"uplink"/);
  assert.match(
    await bench.prepare("uplink", { master: "eth0" }),
    /config\.plugins\[0\]\.master: "eth0" is not the interface of the allocated device uplink/,
  );
  assert.match(await bench.prepare("eth9", {}), /device eth9 is not on this node/);
  assert.equal(await bench.prepare("cni", { master: "eth0" }), "");
});

Deno.test("a device that is held stays, tainted, when its interface is in a pod", async () => {
  await using bench = await Bench.start();
  await ip(["link", "add", "held", "type", "bridge"]);
  await ip(["link", "set", "held", "up"]);
  await bench.shows("cni", "eth0", "held", "uplink");
  assert.equal(await bench.prepare("held", { master: undefined }), "");
  await ip(["link", "delete", "held"]);
  await bench.shows("cni", "eth0", "held!", "uplink");
  // The same after a restart, which knows it from the slices alone.
  await bench.agent.end("SIGKILL");
  await bench.startAgent();
  await pause(2_500);
  assert.deepEqual(bench.shown(), ["cni", "eth0", "held!", "uplink"]);
});
