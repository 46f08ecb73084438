import { join } from "node:path";
import { Cri } from "./cri.ts";
import { IMAGE } from "./image.ts";
import type { ImageRegistry } from "./image_registry.ts";

/** A container runtime with NRI and CDI on, in a private node. */
export interface Runtime {
  readonly paths: {
    readonly socket: string;
    readonly nri: string;
    readonly cdi: string;
    /** The folder of CNI configurations, of which it takes the first by name. */
    readonly cni: string;
  };
  /** Below each controller; what runs in it is ended with the runtime. */
  readonly cgroup: string;
  /** From which it pulls all images. */
  readonly registry: ImageRegistry;
  /** A static busybox. */
  readonly busybox: string;
  /** The folder of real CNI plugins. */
  readonly cniPath: string;
  readonly cri: Cri;
  /** Brings in the image of an archive, under the name that stands in it. */
  importImage(archive: string): Promise<void>;
  /** Gives an image that it has another name too. */
  tagImage(name: string, other: string): Promise<void>;
  /** Starts it, again where it was killed. */
  restart(): Promise<void>;
  /** Ends the daemon; pods go on. */
  kill(signal?: "SIGKILL" | "SIGTERM"): Promise<void>;
  /** Ends it and all that it started. */
  stop(): Promise<void>;
}

export interface RuntimeOptions {
  /** Everything of it lives here. */
  readonly folder: string;
  /** Name of the cgroup for all that runs in it; otherwise one is made up. */
  readonly cgroup?: string;
  /** Stands before its command, where it is to run on another node. */
  readonly enter?: readonly string[];
  /** A further folder of CNI plugins; containerd 1.7 takes none. */
  readonly ownPlugins?: string;
  /** Folders for its NRI socket and for CDI specs, where they are not in its own. */
  readonly nri?: string;
  readonly cdi?: string;
  /** The cluster's own network, where it is not {@link MAIN_NETWORK}. */
  readonly network?: object;
}

export function cgroupName(): string {
  return `network-dra-test-${crypto.randomUUID().slice(0, 8)}`;
}

export interface RuntimeDaemonOptions {
  readonly enter?: readonly string[];
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Where it serves the CRI. */
  readonly socket: string;
  /** The path of its log. */
  readonly log: string;
  /** Name of the cgroup for all that runs in it. */
  readonly cgroup: string;
}

/** The process of a container runtime. */
export class RuntimeDaemon {
  readonly #options: RuntimeDaemonOptions;
  #process: Deno.ChildProcess | undefined;
  #cri: Cri | undefined;

  constructor(options: RuntimeDaemonOptions) {
    this.#options = options;
  }

  get cri(): Cri {
    if (!this.#cri) throw new Error("the container runtime is not running");
    return this.#cri;
  }

  /** Starts it, again where it was killed. */
  async restart(): Promise<void> {
    const { enter = [], program, args, env, socket, cgroup } = this.#options;
    const log = await Deno.open(this.#options.log, { create: true, append: true });
    const [first, ...rest] = [...enter, program, ...args];
    this.#process = new Deno.Command(first!, {
      args: rest,
      env: { ...env },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    void this.#process.stderr.pipeTo(log.writable).catch(() => {});
    for (let tries = 0;; tries++) {
      const cri = new Cri(socket, { cgroupParent: `/${cgroup}`, image: IMAGE });
      try {
        await cri.version();
        this.#cri = cri;
        return;
      } catch (error) {
        cri.close();
        if (tries > 200) {
          throw new Error(`${program} does not start: ${error}\n${await this.log()}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Ends the daemon; pods go on. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    this.#cri?.close();
    this.#cri = undefined;
    const process = this.#process;
    this.#process = undefined;
    process?.kill(signal);
    await process?.status;
  }

  /** The last lines of its log. */
  async log(): Promise<string> {
    return (await Deno.readTextFile(this.#options.log)).split("\n").slice(-40).join("\n");
  }

  /** Ends all that ran in it. */
  async removeCgroups(): Promise<void> {
    for await (const { name } of Deno.readDir("/sys/fs/cgroup")) {
      await removeCgroup(join("/sys/fs/cgroup", name, this.#options.cgroup));
    }
    await removeCgroup(join("/sys/fs/cgroup", this.#options.cgroup));
  }
}

/** Ends the processes of a cgroup, which a failed test can leave, and removes it from below. */
export async function removeCgroup(path: string): Promise<void> {
  const procs = await Deno.readTextFile(join(path, "cgroup.procs")).catch(() => "");
  for (const pid of procs.split("\n").filter((line) => line !== "")) {
    try {
      Deno.kill(Number(pid), "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  const below = await Array.fromAsync(Deno.readDir(path)).catch(() => []);
  for (const { name, isDirectory } of below) {
    if (isDirectory) await removeCgroup(join(path, name));
  }
  // A process that was killed leaves its cgroup a moment later.
  for (let tries = 0; tries < 50; tries++) {
    try {
      await Deno.remove(path);
      return;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** The cluster's own network. */
export const MAIN_NETWORK = {
  cniVersion: "1.0.0",
  name: "main",
  plugins: [{
    type: "bridge",
    bridge: "main0",
    isGateway: true,
    ipam: { type: "host-local", ranges: [[{ subnet: "10.77.0.0/16" }]] },
  }],
};
