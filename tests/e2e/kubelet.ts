import { join } from "node:path";
import { Daemon } from "./daemon.ts";

export interface KubeletOptions {
  /** Stands before its command, where it is to run on another node. */
  readonly enter: readonly string[];
  readonly program: string;
  readonly nodeName: string;
  /** The node's, by which the API server reaches it. */
  readonly address: string;
  /** Its root folder. */
  readonly folder: string;
  readonly logs: string;
  readonly kubeconfig: string;
  readonly clientCa: string;
  readonly runtimeSocket: string;
  /** Below each controller, where pods belong. */
  readonly cgroup: string;
  /** How often it looks at what pods wait for, such as `5s`: after that, and up to a half more. */
  readonly syncFrequency?: string;
}

/** A real kubelet. Pods go on while it is away. */
export class Kubelet {
  readonly #options: KubeletOptions;
  #daemon: Daemon | undefined;

  constructor(options: KubeletOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { enter, program, nodeName, address, logs, kubeconfig, cgroup } = this.#options;
    const { folder } = this.#options;
    for (const hierarchy of await cgroupHierarchies()) {
      await Deno.mkdir(join(hierarchy, cgroup), { recursive: true });
      await outweigh(join(hierarchy, cgroup));
    }
    const config = join(logs, `${nodeName}.json`);
    await Deno.writeTextFile(config, JSON.stringify(this.#configuration()));
    this.#daemon = Daemon.start(`kubelet-${nodeName}`, {
      enter,
      program,
      args: [
        ...["--kubeconfig", kubeconfig, "--config", config, "--root-dir", folder],
        ...["--cert-dir", join(folder, "pki"), "--hostname-override", nodeName],
        ...["--node-ip", address],
      ],
      logs,
    });
  }

  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    await this.#daemon?.end(signal);
    this.#daemon = undefined;
  }

  async log(): Promise<string> {
    return await this.#daemon?.log() ?? "the kubelet is not running";
  }

  #configuration() {
    const { folder, clientCa, runtimeSocket, cgroup, syncFrequency } = this.#options;
    return {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: clientCa },
      },
      authorization: { mode: "Webhook" },
      containerRuntimeEndpoint: `unix://${runtimeSocket}`,
      volumePluginDir: join(folder, "volume-plugins"),
      maxPods: 250,
      // Nobody answers there; without it the kubelet warns of each pod, again and again.
      clusterDNS: ["10.96.0.10"],
      clusterDomain: "cluster.local",
      ...(syncFrequency && { syncFrequency }),
      // Machines with cgroup v1 only.
      failCgroupV1: false,
      cgroupDriver: "cgroupfs",
      cgroupRoot: cgroup,
      enforceNodeAllocatable: [],
      // A machine that is small or full is tested on nevertheless.
      failSwapOn: false,
      evictionHard: {},
      imageGCHighThresholdPercent: 100,
      localStorageCapacityIsolation: false,
    };
  }
}

/**
 * On a node, all that is not a pod's weighs as much as one cgroup. Here each process beside it does,
 * those of all control planes and tests among them, and pods would starve.
 */
async function outweigh(cgroup: string): Promise<void> {
  for (const [file, weight] of [["cpu.shares", "20480"], ["cpu.weight", "1000"]] as const) {
    if (!await Deno.stat(join(cgroup, file)).catch(() => undefined)) continue;
    await Deno.writeTextFile(join(cgroup, file), weight);
  }
}

/** The one of cgroup v2, or those of v1. */
async function cgroupHierarchies(): Promise<string[]> {
  const root = "/sys/fs/cgroup";
  const entries = await Array.fromAsync(Deno.readDir(root));
  if (entries.some(({ name }) => name === "cgroup.controllers")) return [root];
  return entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => join(root, name));
}
