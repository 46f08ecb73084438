import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";
import type { Cri } from "./cri.ts";
import { buildOnce, go } from "./go.ts";
import { busyboxImage, IMAGE, PAUSE_IMAGE } from "./image.ts";
import { ImageRegistry } from "./image_registry.ts";
import {
  cgroupName,
  MAIN_NETWORK,
  type Runtime,
  RuntimeDaemon,
  type RuntimeOptions,
} from "./runtime_daemon.ts";

/** The releases that Debian has, and in which suites. */
export const CONTAINERD = { "1.7": "trixie", "2.1": "forky" } as const;
/** A newer one than Debian has is built from its Go module. */
export type ContainerdVersion = keyof typeof CONTAINERD | "2.4";

const SOURCE = new URL("../integration/containerd", import.meta.url).pathname;
const MODULE = "github.com/containerd/containerd/v2";
const COMMANDS = ["containerd", "containerd-shim-runc-v2", "ctr"];

interface Binaries {
  readonly containerd: string;
  readonly runc: string;
  readonly busybox: string;
  readonly cniPath: string;
}

async function binaries(
  version: ContainerdVersion,
  progress?: (line: string) => void,
): Promise<Binaries | { readonly missing: string }> {
  const cache = cacheFolder();
  const [containerd, runc, busybox, [cniPath]] = await Promise.all([
    version === "2.4" ? buildContainerd(progress) : packaged(version, progress),
    // Those of newer releases need a newer libc than the machine may have.
    fetchDebianPackage("runc", { cache, progress }),
    fetchDebianPackage("busybox-static", { cache, progress }),
    fetchCniPlugins({ progress }),
  ]);
  if ("missing" in containerd) return containerd;
  return {
    containerd: containerd.path,
    runc: join(runc, "usr/sbin/runc"),
    busybox: join(busybox, "bin/busybox"),
    cniPath: cniPath!,
  };
}

async function packaged(
  version: keyof typeof CONTAINERD,
  progress?: (line: string) => void,
): Promise<{ readonly path: string }> {
  const suite = CONTAINERD[version];
  const files = await fetchDebianPackage("containerd", { suite, cache: cacheFolder(), progress });
  return { path: join(files, "usr/bin") };
}

/** The folder of its programs. */
async function buildContainerd(
  progress?: (line: string) => void,
): Promise<{ readonly path: string } | { readonly missing: string }> {
  const hash = createHash("sha256").update(await Deno.readFile(join(SOURCE, "go.mod")));
  const name = `containerd_${Deno.build.arch}_${hash.digest("hex").slice(0, 12)}`;
  return await buildOnce(name, {
    what: "containerd",
    build: (folder, work) =>
      go([
        ...["build", "-mod", "readonly", "-modcacherw", "-trimpath", "-ldflags", "-s -w"],
        ...["-gcflags=all=-dwarf=false", "-o", `${folder}/`],
        ...COMMANDS.map((command) => `${MODULE}/cmd/${command}`),
      ], { cwd: SOURCE, work, env: { CGO_ENABLED: "0" } }),
    progress,
  });
}

export interface ContainerdOptions extends RuntimeOptions {
  readonly version: ContainerdVersion;
}

/**
 * Fetches what containerd needs; to be done where the network can be reached. Gives why it cannot be
 * had, in words for the user.
 */
export async function fetchContainerd(
  version: ContainerdVersion,
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<string | undefined> {
  const found = await binaries(version, progress);
  return "missing" in found ? found.missing : undefined;
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
      enter: options.enter,
      program: join(containerd, "containerd"),
      args: ["--config", join(options.folder, "config.toml")],
      // The shim is found by it.
      env: { PATH: `${containerd}:${dirname(runc)}:${Deno.env.get("PATH")}` },
      ...this.paths,
      cgroup: this.#cgroup,
    });
  }

  static async start(options: ContainerdOptions): Promise<Containerd> {
    const found = await binaries(options.version);
    if ("missing" in found) throw new Error(found.missing);
    const containerd = new Containerd(options, found);
    await containerd.#configure();
    await containerd.restart();
    await containerd.#importImages();
    return containerd;
  }

  get paths() {
    const { folder } = this.#options;
    return {
      socket: join(folder, "containerd.sock"),
      nri: join(this.#options.nri ?? join(folder, "nri"), "nri.sock"),
      cdi: this.#options.cdi ?? join(folder, "cdi"),
      cni: join(folder, "cni"),
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
    const { ownPlugins } = this.#options;
    const cniPaths = [cniPath, ...ownPlugins === undefined ? [] : [ownPlugins]];
    for (const part of ["root", "state", "nri", "cdi", "cni", "hosts/_default"]) {
      await Deno.mkdir(join(folder, part), { recursive: true });
    }
    const host = `[host."${this.registry.url}"]\n  capabilities = ["pull", "resolve"]\n`;
    await Deno.writeTextFile(join(folder, "hosts/_default/hosts.toml"), host);
    const { network = MAIN_NETWORK } = this.#options;
    await Deno.writeTextFile(join(folder, "cni/10-main.conflist"), JSON.stringify(network));
    const configOf = version === "1.7" ? configOf17 : configOf21;
    const config = configOf({ folder, runc, cniPaths, ...this.paths });
    await Deno.writeTextFile(join(folder, "config.toml"), config);
  }

  async #importImages(): Promise<void> {
    const busybox = await Deno.readFile(this.#binaries.busybox);
    const sleep = ["/bin/sleep", "2147483647"];
    for (const [name, entrypoint] of [[PAUSE_IMAGE, sleep], [IMAGE, ["/bin/sh"]]] as const) {
      const path = join(this.#options.folder, "image.tar");
      await Deno.writeFile(path, busyboxImage(busybox, { name, entrypoint }));
      await this.#images("import", path);
    }
  }

  async importImage(archive: string): Promise<void> {
    await this.#images("import", archive);
  }

  async tagImage(name: string, other: string): Promise<void> {
    await this.#images("tag", name, other);
  }

  async #images(...args: string[]): Promise<void> {
    const { success, stderr } = await new Deno.Command(
      join(this.#binaries.containerd, "ctr"),
      { args: ["-a", this.paths.socket, "-n", "k8s.io", "images", ...args] },
    ).output();
    if (!success) throw new Error(`ctr images ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  }
}

interface ConfigValues {
  readonly folder: string;
  readonly runc: string;
  readonly cniPaths: readonly string[];
  readonly nri: string;
  readonly cdi: string;
}

// Without CAP_SYS_RESOURCE no process may lower its oom_score_adj: restrict_oom_score_adj leaves it.
function configOf21({ folder, runc, cniPaths, nri, cdi }: ConfigValues): string {
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
  cdi_spec_dirs = ["${cdi}"]
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ${JSON.stringify(cniPaths)}
    conf_dir = "${folder}/cni"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = "${runc}"
[plugins.'io.containerd.nri.v1.nri']
  disable = false
  socket_path = "${nri}"
`;
}

function configOf17({ folder, runc, cniPaths, nri, cdi }: ConfigValues): string {
  return `
version = 2
root = "${folder}/root"
state = "${folder}/state"
[grpc]
  address = "${folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  enable_cdi = true
  cdi_spec_dirs = ["${cdi}"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${folder}/hosts"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniPaths[0]}"
    conf_dir = "${folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "${runc}"
[plugins."io.containerd.nri.v1.nri"]
  disable = false
  socket_path = "${nri}"
`;
}
