import { dirname, join } from "node:path";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";
import type { Cri } from "./cri.ts";
import { busyboxImage, IMAGE, PAUSE_IMAGE } from "./image.ts";
import { ImageRegistry } from "./image_registry.ts";
import {
  cgroupName,
  MAIN_NETWORK,
  type Runtime,
  RuntimeDaemon,
  type RuntimeOptions,
} from "./runtime_daemon.ts";

/** The releases that are tested, and the Debian suites that have them. */
export const CONTAINERD = { "1.7": "trixie", "2.1": "forky" } as const;
export type ContainerdVersion = keyof typeof CONTAINERD;

interface Binaries {
  readonly containerd: string;
  readonly runc: string;
  readonly busybox: string;
  readonly cniPath: string;
}

async function binaries(
  version: ContainerdVersion,
  progress?: (line: string) => void,
): Promise<Binaries> {
  const cache = cacheFolder();
  const [containerd, runc, busybox, [cniPath]] = await Promise.all([
    fetchDebianPackage("containerd", { suite: CONTAINERD[version], cache, progress }),
    // Those of newer releases need a newer libc than the machine may have.
    fetchDebianPackage("runc", { cache, progress }),
    fetchDebianPackage("busybox-static", { cache, progress }),
    fetchCniPlugins({ progress }),
  ]);
  return {
    containerd: join(containerd, "usr/bin"),
    runc: join(runc, "usr/sbin/runc"),
    busybox: join(busybox, "bin/busybox"),
    cniPath: cniPath!,
  };
}

export interface ContainerdOptions extends RuntimeOptions {
  readonly version: ContainerdVersion;
}

/** Fetches what containerd needs; to be done where the network can be reached. */
export async function fetchContainerd(
  version: ContainerdVersion,
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<void> {
  await binaries(version, progress);
}

/** A real containerd with NRI and CDI on, in a private node. */
export class Containerd implements Runtime {
  readonly #options: ContainerdOptions;
  readonly #binaries: Binaries;
  readonly #cgroup: string;
  readonly #daemon: RuntimeDaemon;
  readonly registry = ImageRegistry.start();

  private constructor(options: ContainerdOptions, found: Binaries) {
    const { containerd, runc } = found;
    this.#options = options;
    this.#binaries = found;
    this.#cgroup = options.cgroup ?? cgroupName();
    this.#daemon = new RuntimeDaemon({
      program: join(containerd, "containerd"),
      args: ["--config", join(options.folder, "config.toml")],
      // The shim is found by it.
      env: { PATH: `${containerd}:${dirname(runc)}:${Deno.env.get("PATH")}` },
      ...this.paths,
      cgroup: this.#cgroup,
    });
  }

  static async start(options: ContainerdOptions): Promise<Containerd> {
    const containerd = new Containerd(options, await binaries(options.version));
    await containerd.#configure();
    await containerd.restart();
    await containerd.#importImages();
    return containerd;
  }

  get paths() {
    const { folder } = this.#options;
    return {
      socket: join(folder, "containerd.sock"),
      nri: join(folder, "nri/nri.sock"),
      cdi: join(folder, "cdi"),
      log: join(folder, "containerd.log"),
    };
  }

  get cgroup(): string {
    return `/${this.#cgroup}`;
  }

  get busybox(): string {
    return this.#binaries.busybox;
  }

  get cniPath(): string {
    return this.#binaries.cniPath;
  }

  /** The programs `ctr` and `runc`. */
  get ctr(): string {
    return join(this.#binaries.containerd, "ctr");
  }

  get runc(): string {
    return this.#binaries.runc;
  }

  get cri(): Cri {
    return this.#daemon.cri;
  }

  restart(): Promise<void> {
    return this.#daemon.restart();
  }

  kill(signal?: "SIGKILL" | "SIGTERM"): Promise<void> {
    return this.#daemon.kill(signal);
  }

  async stop(): Promise<void> {
    await this.kill("SIGTERM");
    const own = `${this.paths.socket}`;
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
      if (line.includes("containerd-shim") && line.includes(own)) {
        Deno.kill(Number(name), "SIGKILL");
      }
    }
    await this.#daemon.removeCgroups();
    await this.registry.stop();
  }

  log(): Promise<string> {
    return this.#daemon.log();
  }

  async #configure(): Promise<void> {
    const { folder, version } = this.#options;
    const { runc, cniPath } = this.#binaries;
    for (const part of ["root", "state", "nri", "cdi", "cni", "hosts/_default"]) {
      await Deno.mkdir(join(folder, part), { recursive: true });
    }
    const host = `[host."${this.registry.url}"]\n  capabilities = ["pull", "resolve"]\n`;
    await Deno.writeTextFile(join(folder, "hosts/_default/hosts.toml"), host);
    await Deno.writeTextFile(join(folder, "cni/10-main.conflist"), JSON.stringify(MAIN_NETWORK));
    const config = version === "1.7"
      ? configOf17({ folder, runc, cniPath })
      : configOf21({ folder, runc, cniPath });
    await Deno.writeTextFile(join(folder, "config.toml"), config);
  }

  async #importImages(): Promise<void> {
    const busybox = await Deno.readFile(this.#binaries.busybox);
    const sleep = ["/bin/sleep", "2147483647"];
    for (const [name, entrypoint] of [[PAUSE_IMAGE, sleep], [IMAGE, ["/bin/sh"]]] as const) {
      const path = join(this.#options.folder, "image.tar");
      await Deno.writeFile(path, busyboxImage(busybox, { name, entrypoint }));
      const { success, stderr } = await new Deno.Command(join(this.#binaries.containerd, "ctr"), {
        args: ["-a", this.paths.socket, "-n", "k8s.io", "images", "import", path],
      }).output();
      if (!success) throw new Error(`ctr images import: ${new TextDecoder().decode(stderr)}`);
    }
  }
}

interface ConfigValues {
  readonly folder: string;
  readonly runc: string;
  readonly cniPath: string;
}

// Without CAP_SYS_RESOURCE no process may lower its oom_score_adj: restrict_oom_score_adj leaves it.
function configOf21({ folder, runc, cniPath }: ConfigValues): string {
  return `
version = 3
root = "${folder}/root"
state = "${folder}/state"
[grpc]
  address = "${folder}/containerd.sock"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "${PAUSE_IMAGE}"
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "${folder}/hosts"
[plugins.'io.containerd.cri.v1.runtime']
  enable_cdi = true
  cdi_spec_dirs = ["${folder}/cdi"]
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["${cniPath}"]
    conf_dir = "${folder}/cni"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = "${runc}"
[plugins.'io.containerd.nri.v1.nri']
  disable = false
  socket_path = "${folder}/nri/nri.sock"
`;
}

function configOf17({ folder, runc, cniPath }: ConfigValues): string {
  return `
version = 2
root = "${folder}/root"
state = "${folder}/state"
[grpc]
  address = "${folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  enable_cdi = true
  cdi_spec_dirs = ["${folder}/cdi"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${folder}/hosts"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniPath}"
    conf_dir = "${folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "${runc}"
[plugins."io.containerd.nri.v1.nri"]
  disable = false
  socket_path = "${folder}/nri/nri.sock"
`;
}
