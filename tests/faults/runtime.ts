import { create } from "@bufbuild/protobuf";
import { join } from "node:path";
import { bindMounts, type CdiMount, resolveCdi } from "../../mod/simulator/cdi.ts";
import { NriRuntime } from "../../mod/simulator/nri_runtime.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import {
  type Container,
  ContainerSchema,
  ContainerState,
  type PodSandbox,
  PodSandboxSchema,
} from "../../proto/gen/nri/nri_pb.ts";
import type { Pod, Sandbox } from "./pods.ts";
import type { End } from "./schedule.ts";
import { uptime } from "./uptime.ts";

/** A container runtime as the harness drives it. */
export interface PodRuntime {
  readonly nriSocket: string;
  readonly cdiFolder: string;
  /** Whether the agent is connected and synchronized. */
  readonly connected: boolean;
  /** Raised whenever a fault of the runtime ended the connection. */
  readonly epoch: number;
  /** When that was last (performance.now()). */
  readonly lostAt: number;
  /** Resolves when the runtime takes calls. */
  readonly up: Promise<void>;
  run(pod: Pod): Promise<Sandbox>;
  /** Creates and starts it. Rejects with the refusal. */
  createContainer(sandbox: Sandbox, name: string, cdiDevices: readonly string[]): Promise<void>;
  /** How many operations that took. */
  end(sandbox: Sandbox, how: End): Promise<number>;
  /** The usual end of a sandbox that another replaces. */
  stop(sandbox: Sandbox): Promise<void>;
  /** A late stop of one that ended, and its removal. */
  stopLate(sandbox: Sandbox): Promise<void>;
  /** Stop and removal of a sandbox that never ran. */
  stopUnknown(pod: Pod): Promise<void>;
  dropConnection(): Promise<void>;
  restart(away: number): Promise<void>;
  /** All sandboxes are gone, as after a reboot. */
  reboot(): Promise<void>;
}

/** The simulated one: NRI as runtimes speak it, and network namespaces. */
export class SimulatedRuntime implements PodRuntime {
  readonly nriSocket: string;
  readonly cdiFolder: string;
  readonly #nri: NriRuntime;
  readonly #sandboxes = new Map<string, Sandbox>();
  /** By sandbox; those among them too that did not start. */
  readonly #containers = new Map<string, Container[]>();
  /** Resolves when the runtime is up. */
  #up: Promise<void> = Promise.resolve();
  #count = 0;
  epoch = 0;
  lostAt = -Infinity;

  /** @param onLate is told that the agent was closed for it gave no answer in time */
  constructor(folder: string, onLate: (method: string) => void) {
    this.nriSocket = join(folder, "nri.sock");
    this.cdiFolder = join(folder, "cdi");
    this.#nri = new NriRuntime({
      socketPath: this.nriSocket,
      onLate: (method) => {
        this.#lose();
        onLate(method);
      },
      inventory: () => {
        const known = [...this.#sandboxes.values()].filter(({ state }) => state !== "gone");
        return {
          pods: known.map(described),
          containers: known.flatMap(({ id }) => this.#containers.get(id) ?? []),
        };
      },
    });
  }

  start(): void {
    this.#nri.start();
  }

  close(): void {
    this.#nri.stop();
  }

  get connected(): boolean {
    return this.#nri.plugins.length > 0;
  }

  get up(): Promise<void> {
    return this.#up;
  }

  async run(pod: Pod): Promise<Sandbox> {
    await this.#up;
    const id = crypto.randomUUID().replaceAll("-", "");
    const netns = `cni-${++this.#count}`;
    const own = pod.life.course !== "hostNetwork";
    if (own) await ip(["netns", "add", netns]);
    const sandbox: Sandbox = {
      id,
      pod,
      ...(own && { netns: `/run/netns/${netns}` }),
      state: "running",
      containers: [],
      startedWithout: false,
    };
    this.#sandboxes.set(id, sandbox);
    pod.sandboxes.push(sandbox);
    await this.#nri.runPodSandbox(described(sandbox));
    return sandbox;
  }

  async createContainer(
    sandbox: Sandbox,
    name: string,
    cdiDevices: readonly string[],
  ): Promise<void> {
    await this.#up;
    const { epoch } = this;
    const mounts = await resolveCdi(this.cdiFolder, cdiDevices);
    const container = describedContainer(sandbox, { name, cdiDevices, mounts });
    await this.#nri.createContainer(described(sandbox), container);
    if (this.epoch !== epoch) throw new Error("the container runtime went away");
    if (sandbox.state !== "running") throw new Error("the sandbox is gone");
    const containers = this.#containers.get(sandbox.id) ?? [];
    this.#containers.set(sandbox.id, [...containers, container]);
    await this.#start(container, mounts);
    sandbox.containers.push(name);
  }

  async #start(container: Container, mounts: readonly CdiMount[]): Promise<void> {
    try {
      await bindMounts(mounts);
      container.state = ContainerState.CONTAINER_RUNNING;
    } catch (error) {
      container.state = ContainerState.CONTAINER_STOPPED;
      throw error;
    }
  }

  async end(sandbox: Sandbox, how: End): Promise<number> {
    await this.#up;
    sandbox.endsSince = uptime();
    switch (how) {
      case "usual":
        await this.#stop(sandbox);
        await this.#remove(sandbox);
        return 2;
      case "stopTwice":
        await this.#stop(sandbox);
        await this.#nri.stopPodSandbox(described(sandbox));
        await this.#remove(sandbox);
        return 3;
      case "removeWithoutStop":
        await this.#deleteNamespace(sandbox);
        await this.#remove(sandbox);
        return 1;
      case "namespaceFirst":
        await this.#deleteNamespace(sandbox);
        await this.#stop(sandbox);
        await this.#remove(sandbox);
        return 2;
      case "unannounced":
        this.#forget(sandbox);
        await this.#deleteNamespace(sandbox);
        return 0;
    }
  }

  async stop(sandbox: Sandbox): Promise<void> {
    await this.#up;
    sandbox.endsSince = uptime();
    await this.#stop(sandbox);
  }

  async stopLate(sandbox: Sandbox): Promise<void> {
    await this.#up;
    await this.#nri.stopPodSandbox(described(sandbox));
    await this.#remove(sandbox);
  }

  async stopUnknown({ name, uid }: Pod): Promise<void> {
    await this.#up;
    const unknown = create(PodSandboxSchema, {
      id: crypto.randomUUID().replaceAll("-", ""),
      name,
      uid,
      namespace: "default",
      linux: { namespaces: [{ type: "network", path: "/run/netns/never-made" }] },
    });
    await this.#nri.stopPodSandbox(unknown);
    await this.#nri.removePodSandbox(unknown);
  }

  dropConnection(): Promise<void> {
    this.#lose();
    this.#nri.disconnect();
    return Promise.resolve();
  }

  #lose(): void {
    this.epoch++;
    this.lostAt = performance.now();
  }

  async restart(away: number): Promise<void> {
    const before = this.#up;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#up = promise;
    await before;
    this.#lose();
    this.#nri.stop();
    await new Promise((wake) => setTimeout(wake, away));
    this.#nri.start();
    resolve();
  }

  async reboot(): Promise<void> {
    this.#lose();
    for (const sandbox of this.#sandboxes.values()) {
      sandbox.endsSince ??= uptime();
      this.#forget(sandbox);
      await this.#deleteNamespace(sandbox);
    }
  }

  /** NRI is told while the namespace is there still. */
  async #stop(sandbox: Sandbox): Promise<void> {
    if (sandbox.state === "running") sandbox.state = "stopped";
    await this.#nri.stopPodSandbox(described(sandbox));
    await this.#deleteNamespace(sandbox);
  }

  async #remove(sandbox: Sandbox): Promise<void> {
    this.#forget(sandbox);
    await this.#nri.removePodSandbox(described(sandbox));
  }

  #forget(sandbox: Sandbox): void {
    sandbox.state = "gone";
    this.#sandboxes.delete(sandbox.id);
    this.#containers.delete(sandbox.id);
  }

  async #deleteNamespace({ netns }: Sandbox): Promise<void> {
    if (!netns) return;
    // A second stop, or a reboot in between, finds it gone.
    await ip(["netns", "delete", netns.split("/").at(-1)!]).catch(() => {});
  }
}

function described({ id, pod, netns, state }: Sandbox): PodSandbox {
  return create(PodSandboxSchema, {
    id,
    name: pod.name,
    uid: pod.uid,
    namespace: "default",
    pid: state === "running" ? 1 : 0,
    linux: { namespaces: [{ type: "mount" }, ...netns ? [{ type: "network", path: netns }] : []] },
  });
}

function describedContainer(
  sandbox: Sandbox,
  { name, cdiDevices, mounts }: {
    readonly name: string;
    readonly cdiDevices: readonly string[];
    readonly mounts: readonly CdiMount[];
  },
): Container {
  return create(ContainerSchema, {
    id: `${sandbox.id}-${name}`,
    podSandboxId: sandbox.id,
    name,
    state: ContainerState.CONTAINER_CREATED,
    mounts: mounts.map(({ containerPath }) => ({ destination: containerPath })),
    cdiDevices: cdiDevices.map((device) => ({ name: device })),
  });
}
