import { create } from "@bufbuild/protobuf";
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
import { NriRuntime } from "../../mod/simulator/nri_runtime.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { type NetworkOptions, storeClaim } from "../support/claims.ts";
import { DraOracle, fetchDraOracle, type OraclePod } from "./dra_oracle.ts";
import { type KubernetesVersion, minorOf } from "./kubernetes_programs.ts";
import { until } from "./poll.ts";

export const DRIVER = "dra.networking";
const NODE = "node-1";
/** How often a container is created that is refused; the agent holds each try for more than a second. */
const TRIES = 10;

/** A node whose kubelet is the real one's DRA manager; runtime and API server are simulated. */
export class DraNode {
  readonly api = new SimulatedApiServer();
  readonly runtime: NriRuntime;
  readonly #agents: AgentProcess[] = [];
  readonly #program: string;
  /** 36 where the kubelet is of Kubernetes 1.36. */
  readonly minor: number;
  readonly #pods: { readonly sandbox: PodSandbox; readonly container: Container }[] = [];
  #sandboxes = 0;
  kubelet!: DraOracle;

  private constructor(
    readonly folder: string,
    { program, minor }: { readonly program: string; readonly minor: number },
  ) {
    this.#program = program;
    this.minor = minor;
    this.runtime = new NriRuntime({
      socketPath: join(folder, "nri.sock"),
      inventory: () => ({
        pods: this.#pods.map(({ sandbox }) => sandbox),
        containers: this.#pods.map(({ container }) => container),
      }),
    });
  }

  /** @param kubernetes the release whose kubelet it is */
  static async start(kubernetes: KubernetesVersion): Promise<DraNode> {
    const oracle = await fetchDraOracle(kubernetes);
    if ("missing" in oracle) throw new Error(oracle.missing);
    const node = new DraNode(await Deno.makeTempDir({ dir: "/run" }), {
      program: oracle.path,
      minor: minorOf(kubernetes),
    });
    node.api.start();
    node.api.addNode(NODE);
    await Deno.mkdir(join(node.kubeletDir, "plugins_registry"), { recursive: true });
    await Deno.writeTextFile(node.#kubeconfig, node.api.kubeconfig());
    node.runtime.start();
    await node.startKubelet();
    await node.startAgent();
    return node;
  }

  async stop(): Promise<void> {
    for (const agent of this.#agents) await agent.end();
    await this.kubelet.kill();
    this.runtime.stop();
    await this.api.stop();
    await Deno.remove(this.folder, { recursive: true });
  }

  get kubeletDir(): string {
    return join(this.folder, "kubelet");
  }

  get #kubeconfig(): string {
    return join(this.folder, "kubeconfig");
  }

  /** The agent that was started last. */
  get agent(): AgentProcess {
    return this.#agents.at(-1)!;
  }

  /** With what the checkpoint of an earlier one holds. */
  async startKubelet(): Promise<void> {
    const { kubeletDir } = this;
    const options = { kubeletDir, kubeconfig: this.#kubeconfig, node: NODE };
    this.kubelet = await DraOracle.start(this.#program, options);
  }

  /** Resolves when the kubelet and the runtime know it. */
  async startAgent(...flags: string[]): Promise<void> {
    const { folder, kubeletDir } = this;
    const [cniPath] = await fetchCniPlugins();
    this.#agents.push(
      new AgentProcess([
        ...["--node-name", NODE, "--driver-name", DRIVER, "--listen", ""],
        ...["--kubelet-dir", kubeletDir, "--nri-socket", join(folder, "nri.sock")],
        ...["--state-dir", join(folder, "state"), "--cdi-dir", join(folder, "cdi")],
        ...["--kubeconfig", this.#kubeconfig, "--cni-path", cniPath!],
        ...["--check-interval", "200ms", ...flags],
      ]),
    );
    await this.agent.ready();
    await this.registered();
  }

  async registered(): Promise<void> {
    await until("the driver is registered", async () => {
      return await this.kubelet.isRegistered(DRIVER) || undefined;
    }, { explain: () => Promise.resolve(this.kubelet.log) });
  }

  /** Stores a claim of the pods with one network. */
  claim(pods: readonly OraclePod[], network: Partial<NetworkOptions> = {}): ClaimRef {
    const [name] = pods[0]!.claims;
    const users = pods.map(({ name, uid }) => ({ name, uid }));
    const networks = [{ name: "lan", subnet: 1, ...network }];
    return storeClaim(this.api, { name: name!, driver: DRIVER, networks, pods: users });
  }

  /** Makes the pod's sandbox and a container in it, which has the networks of the pod's claims. */
  async run({ name, uid }: OraclePod): Promise<PodSandbox> {
    const netns = `sandbox-${++this.#sandboxes}`;
    await ip(["netns", "add", netns]);
    const sandbox = create(PodSandboxSchema, {
      id: netns,
      name,
      uid,
      namespace: "default",
      linux: { namespaces: [{ type: "network", path: `/var/run/netns/${netns}` }] },
    });
    await this.runtime.runPodSandbox(sandbox);
    const container = create(ContainerSchema, {
      id: `container-${netns}`,
      podSandboxId: netns,
      name: "main",
    });
    for (let tries = 0;; tries++) {
      // The kubelet tries again too while the network is being attached.
      try {
        await this.runtime.createContainer(sandbox, container);
        this.#pods.push({ sandbox, container });
        return sandbox;
      } catch (error) {
        if (tries >= TRIES) throw error;
      }
    }
  }

  async end(sandbox: PodSandbox): Promise<void> {
    await this.runtime.stopPodSandbox(sandbox);
    await ip(["netns", "delete", sandbox.id]);
    this.#pods.splice(this.#pods.findIndex((pod) => pod.sandbox === sandbox), 1);
    await this.runtime.removePodSandbox(sandbox);
  }

  /** The address of the sandbox's interface, where it has one. */
  async address({ id }: PodSandbox): Promise<string | undefined> {
    const links = JSON.parse(await ip(["-n", id, "-j", "address"])) as {
      ifname: string;
      addr_info: { family: string; local: string; prefixlen: number }[];
    }[];
    const all = links.find(({ ifname }) => ifname === "net1")?.addr_info ?? [];
    const found = all.find(({ family }) => family === "inet");
    return found && `${found.local}/${found.prefixlen}`;
  }

  /** Records, CDI files and leases: all that is kept of claims. */
  async leftovers(): Promise<string[]> {
    const found: string[] = [];
    for (const folder of ["state/claims", "state/attachments", "cdi"]) {
      for await (const { name } of Deno.readDir(join(this.folder, folder))) {
        // A claim that was unprepared is remembered for some minutes.
        if (!name.endsWith(".departed")) found.push(`${folder}/${name}`);
      }
    }
    for await (const { name } of Deno.readDir("/var/lib/cni/networks/lan")) {
      if (/^[0-9.]+$/.test(name)) found.push(`lease ${name}`);
    }
    return found;
  }
}
