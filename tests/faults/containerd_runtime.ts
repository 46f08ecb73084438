import { systemClock } from "../../mod/async/clock.ts";
import { networkNamespace } from "../../mod/nri/events.ts";
import { NriPlugin } from "../../mod/nri/plugin.ts";
import { FakeLog } from "../support/agent_fakes.ts";
import { Containerd, type ContainerdVersion } from "../support/containerd.ts";
import type { Cri, PodOptions } from "../support/cri.ts";
import type { PodSandbox } from "../../proto/gen/nri/nri_pb.ts";
import type { Pod, Sandbox } from "./pods.ts";
import type { PodRuntime } from "./runtime.ts";
import type { End } from "./schedule.ts";
import { uptime } from "./uptime.ts";

/** A call is repeated for so long, in milliseconds, as the kubelet does. */
const PATIENCE = 60_000;

/** A sandbox that the harness made. */
interface Known {
  readonly options: PodOptions;
  /** Ids of its containers. */
  readonly containers: string[];
}

/** A real containerd, driven by CRI; an NRI plugin of the harness's own watches it. */
export class ContainerdRuntime implements PodRuntime {
  readonly #containerd: Containerd;
  readonly #isConnected: () => boolean;
  readonly #watchEnd = new AbortController();
  #watched: Promise<void> = Promise.resolve();
  /** Network namespaces by sandbox id. */
  readonly #namespaces = new Map<string, string>();
  readonly #known = new Map<string, Known>();
  #up: Promise<void> = Promise.resolve();
  /** Rejects when containerd is killed: calls that are in progress then may never be answered. */
  #killed = Promise.withResolvers<never>();
  #attempt = 0;
  epoch = 0;
  lostAt = -Infinity;

  private constructor(containerd: Containerd, isConnected: () => boolean) {
    this.#containerd = containerd;
    this.#isConnected = isConnected;
    this.#killed.promise.catch(() => {});
  }

  /** @param isConnected whether the agent is synchronized */
  static async start(
    { folder, version, isConnected }: {
      readonly folder: string;
      readonly version: ContainerdVersion;
      readonly isConnected: () => boolean;
    },
  ): Promise<ContainerdRuntime> {
    const runtime = new ContainerdRuntime(await Containerd.start({ folder, version }), isConnected);
    runtime.#watched = runtime.#watch();
    return runtime;
  }

  async close(): Promise<void> {
    this.#watchEnd.abort();
    await this.#watched;
    await this.#containerd.stop();
  }

  /** The end of what containerd logged. */
  log(): Promise<string> {
    return this.#containerd.log();
  }

  get nriSocket(): string {
    return this.#containerd.paths.nri;
  }

  get cdiFolder(): string {
    return this.#containerd.paths.cdi;
  }

  get connected(): boolean {
    return this.#isConnected();
  }

  get up(): Promise<void> {
    return this.#up;
  }

  async run(pod: Pod): Promise<Sandbox> {
    const own = pod.life.course !== "hostNetwork";
    const options = this.#options(pod, own);
    await this.#up;
    const id = await this.#call((cri) => cri.runPodSandbox(options));
    const sandbox: Sandbox = {
      id,
      pod,
      ...(own && { netns: await this.#namespaceOf(id) }),
      state: "running",
      containers: [],
      startedWithout: false,
    };
    this.#known.set(id, { options, containers: [] });
    pod.sandboxes.push(sandbox);
    return sandbox;
  }

  async createContainer(
    sandbox: Sandbox,
    name: string,
    cdiDevices: readonly string[],
  ): Promise<void> {
    await this.#up;
    const options = { ...this.#known.get(sandbox.id)!.options, attempt: ++this.#attempt };
    const id = await this.#call((cri) =>
      cri.runContainer(sandbox.id, options, { name, cdiDevices })
    );
    sandbox.containers.push(name);
    this.#known.get(sandbox.id)!.containers.push(id);
  }

  async end(sandbox: Sandbox, how: End): Promise<number> {
    sandbox.endsSince = uptime();
    // What a runtime does by itself cannot be chosen here.
    if (how === "removeWithoutStop") {
      await this.#remove(sandbox);
      return 1;
    }
    await this.stop(sandbox);
    if (how === "stopTwice") await this.stop(sandbox);
    await this.#remove(sandbox);
    return how === "stopTwice" ? 3 : 2;
  }

  async stop(sandbox: Sandbox): Promise<void> {
    sandbox.endsSince ??= uptime();
    if (sandbox.state === "running") sandbox.state = "stopped";
    await this.#again((cri) => cri.stopPodSandbox(sandbox.id));
  }

  async stopLate(sandbox: Sandbox): Promise<void> {
    await this.stop(sandbox);
    await this.#remove(sandbox);
  }

  stopUnknown(_: Pod): Promise<void> {
    return this.#again((cri) => cri.stopPodSandbox("f".repeat(64)));
  }

  /** containerd drops no connection for others' sake. */
  dropConnection(): Promise<void> {
    return this.restart(100);
  }

  async restart(away: number): Promise<void> {
    const before = this.#up;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#up = promise;
    await before;
    this.epoch++;
    this.lostAt = performance.now();
    const killed = this.#killed;
    this.#killed = Promise.withResolvers<never>();
    this.#killed.promise.catch(() => {});
    await this.#containerd.kill("SIGKILL");
    killed.reject(new Error("containerd was killed"));
    await pause(away);
    await this.#containerd.restart();
    resolve();
  }

  reboot(): Promise<void> {
    return Promise.reject(new Error("a machine with containerd is not rebooted here"));
  }

  async #remove(sandbox: Sandbox): Promise<void> {
    sandbox.state = "gone";
    // Containers first, as the kubelet does: containerd 2.1.9 stands still when the removal of a
    // sandbox removes them while an NRI plugin registers.
    for (const id of this.#known.get(sandbox.id)?.containers ?? []) {
      await this.#again((cri) => cri.removeContainer(id));
    }
    await this.#again((cri) => cri.removePodSandbox(sandbox.id));
    this.#known.delete(sandbox.id);
  }

  #call<T>(task: (cri: Cri) => Promise<T>): Promise<T> {
    return Promise.race([task(this.#containerd.cri), this.#killed.promise]);
  }

  /** Until containerd does it: it may be away, or have gone in the middle. */
  async #again(task: (cri: Cri) => Promise<void>): Promise<void> {
    for (const began = performance.now();;) {
      await this.#up;
      try {
        return await this.#call(task);
      } catch (error) {
        if (performance.now() - began > PATIENCE) throw error;
        await pause(300);
      }
    }
  }

  /** Names are taken until the runtime has removed what had them: each try has another attempt. */
  #options({ name, uid }: Pod, own: boolean): PodOptions {
    return { name, uid, attempt: ++this.#attempt, hostNetwork: !own };
  }

  async #namespaceOf(id: string): Promise<string> {
    for (const began = performance.now();;) {
      const found = this.#namespaces.get(id);
      if (found) return found;
      if (performance.now() - began > 10_000) throw new Error(`no namespace of sandbox ${id}`);
      await pause(10);
    }
  }

  async #watch(): Promise<void> {
    const { signal } = this.#watchEnd;
    const note = (pod: PodSandbox) => {
      const path = networkNamespace(pod);
      if (path) this.#namespaces.set(pod.id, path);
    };
    await new NriPlugin({
      socketPath: this.nriSocket,
      name: "watch",
      index: "10",
      log: new FakeLog(),
      clock: { ...systemClock, sleep: (ms) => pause(Math.min(ms, 100)) },
    }, {
      synchronize: (pods) => {
        pods.forEach(note);
        void this.#removeStrangers(pods);
      },
      runPodSandbox: note,
      stopPodSandbox: () => {},
      removePodSandbox: () => {},
      createContainer: () => {},
    }).run(signal);
  }

  /** What a call made of which the answer was lost: the kubelet removes such sandboxes. */
  async #removeStrangers(pods: readonly PodSandbox[]): Promise<void> {
    await pause(1_000);
    for (const { id } of pods) {
      if (this.#known.has(id)) continue;
      await this.#again((cri) => cri.stopPodSandbox(id)).catch(() => {});
      await this.#again((cri) => cri.removePodSandbox(id)).catch(() => {});
    }
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
