import { join } from "node:path";
import { busyboxImage, busyboxParts } from "../support/image.ts";
import type { Runtime } from "../support/runtime_daemon.ts";
import { type RuntimeName, RUNTIMES } from "../support/runtimes.ts";
import type { Api } from "./api.ts";
import type { ControlPlane } from "./control_plane.ts";
import { Kubelet } from "./kubelet.ts";
import { CNI_BIN, FOLDERS, furnish, type NodePlace, OWN_CNI_BIN, runOn } from "./node_place.ts";
import { until } from "./poll.ts";

/** What the cluster's users call busybox. */
const USERS_IMAGE = "docker.io/library/busybox:latest";
const SH = ["/bin/sh"];

export interface ClusterNodeOptions {
  readonly name: string;
  readonly place: NodePlace;
  /** By which the other nodes reach it. */
  readonly address: string;
  /** For its own files. */
  readonly folder: string;
  readonly logs: string;
  /** Name of the cgroup for its pods. */
  readonly cgroup: string;
  readonly runtime: RuntimeName;
  /** Of its pods, where it is not the runtime's default. */
  readonly network?: object;
  readonly plane: ControlPlane;
  /** The kubelet's program, and how often it looks, where that is not its default. */
  readonly kubelet: string;
  readonly syncFrequency?: string;
}

/** A node with container runtime and kubelet. */
export class ClusterNode {
  readonly name: string;
  readonly place: NodePlace;
  readonly runtime: Runtime;
  readonly kubelet: Kubelet;
  /** Its interfaces while no pod runs. */
  readonly #links: readonly string[];

  private constructor(
    { name, place }: ClusterNodeOptions,
    parts: {
      readonly runtime: Runtime;
      readonly kubelet: Kubelet;
      readonly links: readonly string[];
    },
  ) {
    this.name = name;
    this.place = place;
    this.runtime = parts.runtime;
    this.kubelet = parts.kubelet;
    this.#links = parts.links;
  }

  /** Resolves when it is ready for pods. */
  static async start(options: ClusterNodeOptions): Promise<ClusterNode> {
    const { name, place, address, folder, logs, plane } = options;
    await Deno.mkdir(folder, { recursive: true });
    await furnish(place, { folder });
    await using started = new AsyncDisposableStack();
    const runtime = await RUNTIMES[options.runtime].start({
      enter: place.enter,
      folder: join(folder, "runtime"),
      cgroup: options.cgroup,
      ownPlugins: OWN_CNI_BIN,
      nri: FOLDERS.nri,
      cdi: FOLDERS.cdi,
      network: options.network,
    });
    started.defer(() => runtime.stop());
    const busybox = await Deno.readFile(runtime.busybox);
    // It is pulled where the tests' registry is, and is there already on another node.
    runtime.registry.add("library/busybox", "latest", busyboxParts(busybox, SH));
    const archive = join(folder, "busybox.tar");
    await Deno.writeFile(archive, busyboxImage(busybox, { name: USERS_IMAGE, entrypoint: SH }));
    await runtime.importImage(archive);
    const kubelet = new Kubelet({
      enter: place.enter,
      program: options.kubelet,
      nodeName: name,
      address,
      folder: FOLDERS.kubelet,
      logs,
      kubeconfig: await plane.kubeconfig(name, `/O=system:nodes/CN=system:node:${name}`),
      clientCa: plane.ca,
      runtimeSocket: runtime.paths.socket,
      cgroup: runtime.cgroup,
      syncFrequency: options.syncFrequency,
    });
    started.defer(() => kubelet.stop());
    await kubelet.start();
    await ready(name, plane.api, kubelet);
    const links = await linkNames(place);
    started.move();
    return new ClusterNode(options, { runtime, kubelet, links });
  }

  /** A plugin that runs a line of shell before the real plugin. */
  async wrapPlugin(
    type: string,
    { around, before }: { readonly around: string; readonly before: string },
  ): Promise<void> {
    const script = `#!/bin/sh\n${before}\nexec ${join(CNI_BIN, around)}\n`;
    const path = this.place.root + join(OWN_CNI_BIN, type);
    await Deno.writeTextFile(path, script, { mode: 0o755 });
  }

  /** Removes what host-local keeps of a network. */
  async removeLeases(network: string): Promise<void> {
    const folder = `${FOLDERS.leases}/networks/${network}`;
    await Deno.remove(this.place.root + folder, { recursive: true });
  }

  /** Records, CDI files, leases, network namespaces and interfaces that no pod accounts for. */
  async leftovers(): Promise<string[]> {
    const left: string[] = [];
    for (const folder of [`${FOLDERS.state}/claims`, `${FOLDERS.state}/attachments`, FOLDERS.cdi]) {
      for (const name of await this.#names(folder)) {
        // A claim that was unprepared is remembered for some minutes.
        if (!name.endsWith(".departed")) left.push(`${folder}/${name}`);
      }
    }
    const networks = `${FOLDERS.leases}/networks`;
    for (const network of await this.#names(networks)) {
      for (const name of await this.#names(join(networks, network))) {
        if (name === "lock" || name.startsWith("last_reserved")) continue;
        left.push(`lease ${network} ${name}`);
      }
    }
    // CRI-O binds the node's own there too, for pods on its network such as the agent's.
    const { root, netns } = this.place;
    const { ino: own } = await Deno.stat(netns);
    for (const name of await this.#names(FOLDERS.netns)) {
      const found = await Deno.stat(root + join(FOLDERS.netns, name)).catch(() => undefined);
      if (found && found.ino !== own) left.push(`network namespace ${name}`);
    }
    const links = (await linkNames(this.place)).filter((name) => !this.#links.includes(name));
    // The cluster's own bridge comes with the first pod and stays.
    left.push(...links.filter((name) => name !== "main0").map((name) => `interface ${name}`));
    return left;
  }

  /** Sends all processes of a container a signal, as the kernel does when it is out of memory. */
  async kill(container: string, signal: Deno.Signal = "SIGKILL"): Promise<void> {
    const of = (cgroup: string) => cgroup.includes(container) && !cgroup.includes("conmon");
    for await (const { name } of Deno.readDir("/proc")) {
      const cgroup = await Deno.readTextFile(`/proc/${name}/cgroup`).catch(() => "");
      if (!/^\d+$/.test(name) || !of(cgroup)) continue;
      try {
        Deno.kill(Number(name), signal);
      } catch (error) {
        // A probe, which has ended by itself.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }

  async stop(): Promise<void> {
    await this.kubelet.stop();
    await this.runtime.stop();
  }

  async #names(folder: string): Promise<string[]> {
    try {
      return (await Array.fromAsync(Deno.readDir(this.place.root + folder)))
        .map(({ name }) => name);
    } catch {
      return [];
    }
  }
}

async function ready(name: string, api: Api, kubelet: Kubelet): Promise<void> {
  await until(`node ${name} is ready`, async () => {
    const node = await api.get({ kind: "Node", name });
    const conditions = node?.status?.conditions ?? [];
    const ready = conditions.find(({ type }: { type: string }) => type === "Ready");
    return ready?.status === "True" || undefined;
  }, { limit: 90_000, explain: () => kubelet.log() });
}

async function linkNames(place: NodePlace): Promise<string[]> {
  const links = await runOn(place, "ip", "-o", "link");
  return links.trim().split("\n").map((line) => line.split(": ")[1]!.split("@")[0]!);
}
