import assert from "node:assert/strict";
import { join } from "node:path";
import { IMAGE } from "../support/image.ts";
import { fetchKubectl } from "../support/kubectl.ts";
import type { Runtime } from "../support/runtime_daemon.ts";
import { agentToken } from "./agent_account.ts";
import type { Agent, StartAgent } from "./agents/agent.ts";
import type { Api, Json } from "./api.ts";
import { ClusterNode } from "./cluster_node.ts";
import { ControlPlane } from "./control_plane.ts";
import type { Kubelet } from "./kubelet.ts";
import { fetchKubernetes, minorOf } from "./kubernetes_programs.ts";
import { FOLDERS, HERE } from "./node_place.ts";
import { DRIVER } from "./objects.ts";
import { openSecondNode, podNetwork } from "./second_node.ts";
import type { Releases } from "./parts.ts";
import { until } from "./poll.ts";

export const NODE = "node-1";
export const SECOND_NODE = "node-2";
/** That of the private node (mod/simulator/private_node.ts), and the second node's. */
const ADDRESSES = ["192.0.2.10", "192.0.2.11"] as const;

export interface ClusterOptions extends Releases {
  /** Name of the cgroup for its pods. */
  readonly cgroup: string;
  readonly startAgent: StartAgent;
  readonly nodes?: 1 | 2;
  /** Of the kubelet, where it is not its default. */
  readonly syncFrequency?: string;
}

/** Kubernetes in a private node, with the agent. */
export class Cluster {
  /** Ends all but the agent. */
  readonly #parts: AsyncDisposableStack;
  readonly #plane: ControlPlane;
  readonly #expected: RegExp[] = [];
  readonly nodes: readonly ClusterNode[];
  readonly agent: Agent;
  /** Of Kubernetes' version. */
  readonly minor: number;

  private constructor(parts: {
    readonly minor: number;
    readonly parts: AsyncDisposableStack;
    readonly plane: ControlPlane;
    readonly nodes: readonly ClusterNode[];
    readonly agent: Agent;
  }) {
    this.minor = parts.minor;
    this.#parts = parts.parts;
    this.#plane = parts.plane;
    this.nodes = parts.nodes;
    this.agent = parts.agent;
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const { cgroup, kubernetes, startAgent, nodes: count = 1 } = options;
    const programs = await fetchKubernetes(kubernetes);
    if ("missing" in programs) throw new Error(programs.missing);
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const logs = join(folder, "log");
    await Deno.mkdir(logs);
    const places = [HERE];
    if (count === 2) {
      const [first, address] = ADDRESSES;
      places.push(await openSecondNode({ first, address }));
    }
    await using started = new AsyncDisposableStack();
    const plane = await ControlPlane.start({ programs, folder, logs });
    started.defer(() => plane.stop());
    const nodes: ClusterNode[] = [];
    for (const [i, place] of places.entries()) {
      const name = [NODE, SECOND_NODE][i]!;
      const node = await ClusterNode.start({
        ...options,
        name,
        place,
        address: ADDRESSES[i]!,
        ...(count === 2 && { network: podNetwork(i) }),
        folder: join(folder, name),
        logs,
        cgroup: i === 0 ? cgroup : `${cgroup}-${name}`,
        plane,
        kubelet: programs.kubelet,
      });
      started.defer(() => node.stop());
      nodes.push(node);
    }
    const agent = await startAgent({ plane, nodes, folder });
    const parts = started.move();
    return new Cluster({ minor: minorOf(kubernetes), parts, plane, nodes, agent });
  }

  /** The first node. */
  get node(): ClusterNode {
    return this.nodes[0]!;
  }

  get runtime(): Runtime {
    return this.node.runtime;
  }

  get kubelet(): Kubelet {
    return this.node.kubelet;
  }

  /** The runtime of the node on which a pod is. */
  runtimeOf(pod: Json): Runtime {
    return this.nodes.find(({ name }) => name === pod.spec.nodeName)!.runtime;
  }

  /** As the cluster's administrator sees it. */
  get api(): Api {
    return this.#plane.api;
  }

  /** The API server as the agent on a node sees it. */
  async apiAsAgentOn(nodeName: string): Promise<Api> {
    return await this.apiWith(await agentToken(this.api, { nodeName, image: IMAGE }));
  }

  /** The API server as whom a token names sees it. */
  async apiWith(token: string): Promise<Api> {
    return await this.#plane.apiAs(token);
  }

  /** The path of its administrator's kubeconfig. */
  async adminKubeconfig(): Promise<string> {
    return await this.#plane.adminKubeconfig();
  }

  /** Runs `body` while the API server takes connections and answers nothing. */
  async whileApiServerHangs(body: () => Promise<void>): Promise<void> {
    await this.#plane.whileApiServerHangs(body);
  }

  /** What kubectl prints for the cluster's administrator; rejects with its error. */
  async kubectl(...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command(await fetchKubectl(), {
      args: ["--kubeconfig", await this.adminKubeconfig(), ...args],
      stdin: "null",
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    if (success) return out!;
    throw new Error(`kubectl ${args.join(" ")}: ${out}${err}`);
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
    await this.agent.reinstall(driver);
    // The kubelet deletes those of the one before half a minute later.
    for (const { metadata: { name }, spec } of await this.slices()) {
      if (spec.driver !== driver) await this.api.delete({ kind: "ResourceSlice", name });
    }
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

  /** A plugin of the first node that runs a line of shell before the real plugin. */
  async wrapPlugin(
    type: string,
    wrapped: { readonly around: string; readonly before: string },
  ): Promise<void> {
    await this.node.wrapPlugin(type, wrapped);
  }

  /** A path for a mark by which wrapped plugins and tests tell each other something. */
  mark(name: string): string {
    return join(FOLDERS.plugins, `mark-${name}`);
  }

  async leftovers(): Promise<string[]> {
    const left = await Promise.all(this.nodes.map((node) => node.leftovers()));
    return left.flat();
  }

  /** Rejects with what is left over, where it does not go within a few seconds. */
  async assertNothingLeft(): Promise<void> {
    let left: string[] = [];
    await until("nothing is left", async () => {
      left = await this.leftovers();
      return left.length === 0 || undefined;
    }, { limit: 15_000, explain: () => Promise.resolve(left.join("\n")) });
  }

  /** The agent is to log this error; any other fails the run. */
  expectError(message: RegExp): void {
    this.#expected.push(message);
  }

  async stop(): Promise<void> {
    await using _parts = this.#parts;
    await this.agent.stop();
    const errors = this.agent.lines.filter(({ level, msg }) =>
      (level === "error" || level === "raw") && !this.#expected.some((each) => each.test(msg))
    );
    assert.deepEqual(errors, []);
  }
}
