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
import { agentArguments, AgentProcess } from "./agent_process.ts";
import { type NetworkOptions, storeClaim } from "./claims.ts";

export const DRIVER = "dra.networking";
/** A machine that does much else at once takes its time, in milliseconds. */
const LIMIT = 30_000;
let numbers = 0;

/** A pod with one network. */
export interface Pod {
  readonly name: string;
  readonly claim: ClaimRef;
  readonly sandbox: PodSandbox;
}

/** A node with an agent as a separate process; kubelet, runtime and API server are simulated. */
export class AgentNode {
  readonly api = new SimulatedApiServer();
  readonly kubelet: SimulatedKubelet;
  readonly runtime: NriRuntime;
  readonly pods: PodSandbox[] = [];
  readonly containers: Container[] = [];
  agent!: AgentProcess;
  readonly #args: readonly string[];

  private constructor(readonly folder: string, args: readonly string[]) {
    this.#args = args;
    this.kubelet = new SimulatedKubelet({ kubeletDir: join(folder, "kubelet") });
    this.runtime = new NriRuntime({
      socketPath: join(folder, "nri.sock"),
      inventory: () => ({ pods: this.pods, containers: this.containers }),
    });
  }

  /** @param args with which Deno runs the agent: from source, unless others are given */
  static async start(flags: readonly string[] = [], args = agentArguments()): Promise<AgentNode> {
    const node = new AgentNode(await Deno.makeTempDir({ dir: "/run" }), args);
    node.api.start();
    node.api.addNode("node-1");
    await Deno.mkdir(node.plugins);
    await Deno.writeTextFile(join(node.folder, "kubeconfig"), node.api.kubeconfig());
    node.runtime.start();
    await node.kubelet.start();
    await node.startAgent(...flags);
    return node;
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
    const [cniPath] = await fetchCniPlugins();
    this.agent = new AgentProcess([
      ...["--node-name", "node-1", "--driver-name", DRIVER, "--listen", ""],
      ...["--kubelet-dir", join(folder, "kubelet"), "--nri-socket", join(folder, "nri.sock")],
      ...["--state-dir", this.stateDir, "--cdi-dir", join(folder, "cdi")],
      ...["--kubeconfig", join(folder, "kubeconfig")],
      ...["--cni-path", `${this.plugins}:${cniPath}`, ...flags],
    ], { args: [...this.#args] });
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
    const pod = await this.prepare(network);
    await this.begin(pod);
    return pod;
  }

  /** A pod that does not run yet, with its claim prepared. */
  async prepare(network: Partial<NetworkOptions> = {}): Promise<Pod> {
    const name = `pod${++numbers}`;
    const uid = crypto.randomUUID();
    const networks = [{ name: `lan-${name}`, subnet: numbers % 250, ...network }];
    const pods = [{ name, uid }];
    const claim = storeClaim(this.api, { name: `claim-${name}`, driver: DRIVER, networks, pods });
    const answers = await this.kubelet.prepare(DRIVER, [claim]);
    assert.equal(answers[claim.uid]?.error, "");
    return { name, claim, sandbox: await this.sandbox(name, uid) };
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
    return (await this.kubelet.unprepare(DRIVER, [claim]))[claim.uid]!.error;
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

  /** But for those of claims that were unprepared, which are remembered for some minutes. */
  async records(kind: "claims" | "attachments"): Promise<string[]> {
    const files = await Array.fromAsync(Deno.readDir(join(this.stateDir, kind)));
    return files.map(({ name }) => name).filter((name) => !name.endsWith(".departed"));
  }

  async until(holds: () => boolean | Promise<boolean>, found: () => string): Promise<void> {
    const end = performance.now() + LIMIT;
    while (!await holds()) {
      if (performance.now() > end) throw new Error(`${found()}\n${this.agent.log}`);
      await pause(25);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
