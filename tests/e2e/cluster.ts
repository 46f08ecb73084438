import assert from "node:assert/strict";
import { join } from "node:path";
import { ip } from "../../mod/simulator/private_node.ts";
import { agentArguments, AgentProcess } from "../support/agent_process.ts";
import { busyboxParts, IMAGE } from "../support/image.ts";
import type { Runtime } from "../support/runtime_daemon.ts";
import { RUNTIMES } from "../support/runtimes.ts";
import { agentToken, installAccount } from "./agent_account.ts";
import type { Api, Json } from "./api.ts";
import { ControlPlane } from "./control_plane.ts";
import { Kubelet } from "./kubelet.ts";
import { fetchKubernetes, minorOf } from "./kubernetes_programs.ts";
import { shieldMachine } from "./node_shield.ts";
import { DRIVER } from "./objects.ts";
import type { Releases } from "./parts.ts";
import { until } from "./poll.ts";

export const NODE = "node-1";
/** As the cluster's users write it: it is pulled. */
const USERS_IMAGE = "library/busybox";

/** The cases' own plugins, which an administrator has to open to claims. */
const WRAPPERS = ["bare", "flaky", "late", "slow", "sticky"] as const;

/** Kubernetes of one node, in a private node, with the agent. */
export class Cluster {
  readonly #folder: string;
  readonly #agentConfig: string;
  /** The interfaces of the node while no pod runs. */
  readonly #links: readonly string[];
  /** Ends all but the agent. */
  readonly #parts: AsyncDisposableStack;
  readonly #plane: ControlPlane;
  readonly runtime: Runtime;
  readonly kubelet: Kubelet;
  /** All that ran, the present one last. */
  readonly #agents: AgentProcess[] = [];
  #driver = DRIVER;
  /** Of Kubernetes' version. */
  readonly minor: number;

  private constructor(parts: {
    readonly minor: number;
    readonly folder: string;
    readonly agentConfig: string;
    readonly links: readonly string[];
    readonly parts: AsyncDisposableStack;
    readonly plane: ControlPlane;
    readonly runtime: Runtime;
    readonly kubelet: Kubelet;
  }) {
    this.minor = parts.minor;
    this.#folder = parts.folder;
    this.#agentConfig = parts.agentConfig;
    this.#links = parts.links;
    this.#parts = parts.parts;
    this.#plane = parts.plane;
    this.runtime = parts.runtime;
    this.kubelet = parts.kubelet;
  }

  static async start({ cgroup, kubernetes, syncFrequency, runtime: name }: Releases & {
    /** Name of the cgroup for its pods. */
    readonly cgroup: string;
    /** Of the kubelet, where it is not its default. */
    readonly syncFrequency?: string;
  }): Promise<Cluster> {
    const programs = await fetchKubernetes(kubernetes);
    if ("missing" in programs) throw new Error(programs.missing);
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const logs = join(folder, "log");
    await Deno.mkdir(logs);
    await shieldMachine(folder);
    await using started = new AsyncDisposableStack();
    const runtime = await RUNTIMES[name].start({ folder: join(folder, "runtime"), cgroup });
    started.defer(() => runtime.stop());
    const busybox = await Deno.readFile(runtime.busybox);
    runtime.registry.add(USERS_IMAGE, "latest", busyboxParts(busybox, ["/bin/sh"]));
    const plane = await ControlPlane.start({ programs, folder, logs });
    started.defer(() => plane.stop());
    const kubelet = new Kubelet({
      program: programs.kubelet,
      nodeName: NODE,
      folder: join(folder, "kubelet"),
      logs,
      kubeconfig: await plane.kubeconfig("kubelet", `/O=system:nodes/CN=system:node:${NODE}`),
      clientCa: plane.ca,
      runtimeSocket: runtime.paths.socket,
      cgroup: runtime.cgroup,
      syncFrequency,
    });
    started.defer(() => kubelet.stop());
    await kubelet.start();
    await nodeReady(plane.api, kubelet);
    await installAccount(plane.api, DRIVER);
    const token = await tokenOn(NODE, plane.api);
    const agentConfig = await plane.writeKubeconfig("agent", { token });
    const links = await linkNames();
    const cluster = new Cluster({
      minor: minorOf(kubernetes),
      folder,
      agentConfig,
      links,
      parts: started.move(),
      plane,
      runtime,
      kubelet,
    });
    try {
      await Deno.mkdir(cluster.#wrappers);
      await cluster.startAgent();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get agent(): AgentProcess {
    const agent = this.#agents.at(-1);
    if (!agent) throw new Error("no agent has been started");
    return agent;
  }

  /** What all agents logged that ran. */
  get agentLines(): AgentProcess["lines"] {
    return this.#agents.flatMap(({ lines }) => lines);
  }

  /** As the cluster's administrator sees it. */
  get api(): Api {
    return this.#plane.api;
  }

  /** The API server as the agent on a node sees it. */
  async apiAsAgentOn(nodeName: string): Promise<Api> {
    return await this.#plane.apiAs(await tokenOn(nodeName, this.api));
  }

  /** @param main another main program that takes the same flags */
  async startAgent(
    { main, logLevel = "debug", podUid }: {
      readonly main?: string;
      readonly logLevel?: string;
      /** Of the agent's pod: then it can start beside another. */
      readonly podUid?: string;
    } = {},
  ): Promise<void> {
    const args = agentArguments().map((arg) => main && arg.endsWith("/main.ts") ? main : arg);
    const config = join(this.#folder, "config.json");
    const opened = Object.fromEntries(WRAPPERS.map((type) => [type, true]));
    await Deno.writeTextFile(config, JSON.stringify({ policy: { plugins: opened } }));
    this.#agents.push(
      new AgentProcess([
        ...["--log-level", logLevel],
        ...["--node-name", NODE, "--driver-name", this.#driver, "--kubeconfig", this.#agentConfig],
        ...["--kubelet-dir", join(this.#folder, "kubelet")],
        ...["--nri-socket", this.runtime.paths.nri, "--cdi-dir", this.runtime.paths.cdi],
        ...["--state-dir", join(this.#folder, "state"), "--config", config],
        ...["--cni-path", `${this.#wrappers}:${this.runtime.cniPath}`],
        ...podUid ? ["--pod-uid", podUid] : [],
      ], { args }),
    );
    await until("the agent is ready", () => {
      return Promise.resolve(this.agent.lines.find(({ msg }) => msg === "ready"));
    }, { limit: 30_000, explain: () => Promise.resolve(this.agent.log) });
  }

  /**
   * As a rolling update does on a node: a new agent starts beside the present one, which ends when
   * the new one is ready.
   */
  async rollAgent(): Promise<void> {
    const old = this.agent;
    await this.startAgent({ podUid: crypto.randomUUID() });
    assert.equal(await old.end(), 0, old.log);
  }

  /** Runs `body` with the agent under another driver name, installed as the chart does for that. */
  async withDriver(driver: string, body: () => Promise<void>): Promise<void> {
    await this.#changeDriver(driver);
    try {
      await body();
    } finally {
      await this.#changeDriver(DRIVER);
    }
  }

  async #changeDriver(driver: string): Promise<void> {
    await this.agent.end();
    // The kubelet would do so half a minute later.
    for (const { metadata: { name } } of await this.slices()) {
      await this.api.delete({ kind: "ResourceSlice", name });
    }
    await installAccount(this.api, driver);
    this.#driver = driver;
    await this.startAgent();
  }

  /** The node's interface for which the device of a claim's result stands; undefined for `cni`. */
  async interfaceOf(
    { pool, device }: { readonly pool: string; readonly device: string },
  ): Promise<string | undefined> {
    const slices = (await this.slices()).filter(({ spec }) => spec.pool.name === pool);
    const found = slices.flatMap(({ spec }) => spec.devices).find(({ name }) => name === device);
    return found?.attributes.interface?.string;
  }

  /** @param meanwhile what happens while it is away */
  async restartKubelet(meanwhile = () => Promise.resolve()): Promise<void> {
    const before = await this.slices();
    await this.kubelet.stop();
    await meanwhile();
    await this.kubelet.start();
    const gone = new Set(before.map(({ metadata }) => metadata.uid));
    await until("the agent publishes what the kubelet deleted", async () => {
      const slices = await this.slices();
      return slices.length > 0 && slices.every(({ metadata }) => !gone.has(metadata.uid)) ||
        undefined;
    }, { explain: () => this.kubelet.log() });
  }

  async slices(): Promise<Json[]> {
    return await this.api.list({ kind: "ResourceSlice" });
  }

  /** A plugin that runs a line of shell before the real plugin. */
  async wrapPlugin(
    type: typeof WRAPPERS[number],
    { around, before }: { readonly around: string; readonly before: string },
  ): Promise<void> {
    const real = join(this.runtime.cniPath, around);
    const script = `#!/bin/sh\n${before}\nexec ${real}\n`;
    await Deno.writeTextFile(join(this.#wrappers, type), script, { mode: 0o755 });
  }

  /** A path for a mark by which wrapped plugins and tests tell each other something. */
  mark(name: string): string {
    return join(this.#folder, `mark-${name}`);
  }

  /** Records, CDI files, leases, network namespaces and interfaces that no pod accounts for. */
  async leftovers(): Promise<string[]> {
    const left: string[] = [];
    for (const folder of ["state/claims", "state/attachments", "runtime/cdi"]) {
      for (const name of await names(join(this.#folder, folder))) left.push(`${folder}/${name}`);
    }
    for (const network of await names("/var/lib/cni/networks")) {
      for (const name of await names(join("/var/lib/cni/networks", network))) {
        if (name === "lock" || name.startsWith("last_reserved")) continue;
        left.push(`lease ${network} ${name}`);
      }
    }
    // CRI-O binds the node's own there too, for pods on its network such as the agent's.
    const { ino: own } = await Deno.stat("/proc/self/ns/net");
    for (const name of await names("/run/netns")) {
      const found = await Deno.stat(join("/run/netns", name)).catch(() => undefined);
      if (found && found.ino !== own) left.push(`network namespace ${name}`);
    }
    const links = (await linkNames()).filter((name) => !this.#links.includes(name));
    // The cluster's own bridge comes with the first pod and stays.
    left.push(...links.filter((name) => name !== "main0").map((name) => `interface ${name}`));
    return left;
  }

  /** Rejects with what is left over, where it does not go within a few seconds. */
  async assertNothingLeft(): Promise<void> {
    let left: string[] = [];
    await until("nothing is left", async () => {
      left = await this.leftovers();
      return left.length === 0 || undefined;
    }, { limit: 15_000, explain: () => Promise.resolve(left.join("\n")) });
  }

  async stop(): Promise<void> {
    await using _parts = this.#parts;
    const codes = await Promise.all(this.#agents.slice(-1).map((agent) => agent.end()));
    assert.ok(codes.every((code) => code === 0), this.agent.log);
    const errors = this.agentLines.filter(({ level }) => level === "error" || level === "raw");
    assert.deepEqual(errors, []);
  }

  get #wrappers(): string {
    return join(this.#folder, "wrappers");
  }
}

function tokenOn(nodeName: string, api: Api): Promise<string> {
  return agentToken(api, { nodeName, image: IMAGE });
}

async function nodeReady(api: Api, kubelet: Kubelet): Promise<void> {
  await until("the node is ready", async () => {
    const node = await api.get({ kind: "Node", name: NODE });
    const conditions = node?.status?.conditions ?? [];
    const ready = conditions.find(({ type }: { type: string }) => type === "Ready");
    return ready?.status === "True" || undefined;
  }, { limit: 90_000, explain: () => kubelet.log() });
}

async function linkNames(): Promise<string[]> {
  const links = await ip(["-o", "link"]);
  return links.trim().split("\n").map((line) => line.split(": ")[1]!.split("@")[0]!);
}

async function names(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch {
    return [];
  }
}
