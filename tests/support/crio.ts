import { createHash } from "node:crypto";
import { join } from "node:path";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";
import type { Cri } from "./cri.ts";
import { buildOnce, go } from "./go.ts";
import { busyboxParts, IMAGE, type ImageParts, PAUSE_IMAGE, readImage } from "./image.ts";
import { ImageRegistry } from "./image_registry.ts";
import {
  cgroupName,
  MAIN_NETWORK,
  type Runtime,
  RuntimeDaemon,
  type RuntimeOptions,
} from "./runtime_daemon.ts";

const SOURCE = new URL("../integration/crio", import.meta.url).pathname;
/** Builds it without C libraries that the machine may lack. */
const TAGS = [
  "containers_image_openpgp",
  "containers_image_ostree_stub",
  "exclude_graphdriver_btrfs",
];

interface Programs {
  readonly crio: string;
  readonly conmon: string;
  readonly runc: string;
  readonly busybox: string;
  /** The folder of real CNI plugins. */
  readonly cniPath: string;
}

export type CrioPrograms = Programs | { readonly missing: string };

/**
 * Builds CRI-O from its Go module (tests/integration/crio) into the cache, once, and fetches what it
 * needs. To be called first where the network can be reached. Without Go it tells why.
 */
export async function fetchCrio(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<CrioPrograms> {
  const hash = createHash("sha256").update(TAGS.join(" "));
  hash.update(await Deno.readFile(join(SOURCE, "go.mod")));
  const crio = await buildOnce(`crio_${Deno.build.arch}_${hash.digest("hex").slice(0, 12)}`, {
    what: "CRI-O",
    build: (program, work) =>
      go([
        ...["build", "-mod", "readonly", "-modcacherw", "-trimpath", "-ldflags", "-s -w"],
        ...["-gcflags=all=-dwarf=false", "-tags", TAGS.join(" "), "-o", program],
        "github.com/cri-o/cri-o/cmd/crio",
      ], { cwd: SOURCE, work }),
    progress,
  });
  if ("missing" in crio) return crio;
  const cache = cacheFolder();
  const [conmon, runc, busybox, [cniPath]] = await Promise.all([
    fetchDebianPackage("conmon", { cache, progress }),
    fetchDebianPackage("runc", { cache, progress }),
    fetchDebianPackage("busybox-static", { cache, progress }),
    fetchCniPlugins({ progress }),
  ]);
  return {
    crio: crio.path,
    conmon: join(conmon, "usr/bin/conmon"),
    runc: join(runc, "usr/sbin/runc"),
    busybox: join(busybox, "bin/busybox"),
    cniPath: cniPath!,
  };
}

/** A real CRI-O with NRI and CDI on, in a private node. */
export class Crio implements Runtime {
  readonly #options: RuntimeOptions;
  readonly #folder: string;
  readonly #programs: Programs;
  readonly #cgroup: string;
  readonly #daemon: RuntimeDaemon;
  readonly registry = ImageRegistry.start();
  /** What the registry has, by their full names. */
  readonly #images = new Map<string, ImageParts>();

  private constructor(options: RuntimeOptions, programs: Programs) {
    const { folder, cgroup = cgroupName(), enter } = options;
    this.#options = options;
    this.#folder = folder;
    this.#programs = programs;
    this.#cgroup = cgroup;
    this.#daemon = new RuntimeDaemon({
      enter,
      program: programs.crio,
      args: [
        ...["--config", join(folder, "crio.conf"), "--config-dir", ""],
        ...["--registries-conf", join(folder, "registries.conf")],
        ...["--registries-conf-dir", join(folder, "registries.d")],
      ],
      env: {},
      ...this.paths,
      cgroup,
    });
  }

  static async start(options: RuntimeOptions): Promise<Crio> {
    const programs = await fetchCrio();
    if ("missing" in programs) throw new Error(programs.missing);
    const crio = new Crio(options, programs);
    await crio.#configure();
    await crio.#addImages();
    await hideControllers(options.folder);
    await crio.restart();
    await crio.cri.pullImage();
    return crio;
  }

  get paths() {
    return {
      socket: join(this.#folder, "crio.sock"),
      nri: join(this.#options.nri ?? join(this.#folder, "nri"), "nri.sock"),
      cdi: this.#options.cdi ?? join(this.#folder, "cdi"),
      cni: join(this.#folder, "cni"),
      log: join(this.#folder, "crio.log"),
    };
  }

  get cgroup(): string {
    return `/${this.#cgroup}`;
  }

  get busybox(): string {
    return this.#programs.busybox;
  }

  get cniPath(): string {
    return this.#programs.cniPath;
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

  /** It is pulled, as from a registry of the user's. */
  async importImage(archive: string): Promise<void> {
    const image = readImage(await Deno.readFile(archive));
    this.#add(image.name, image);
  }

  tagImage(name: string, other: string): Promise<void> {
    this.#add(other, this.#images.get(name)!);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    await this.#daemon.kill("SIGTERM");
    await this.#daemon.removeCgroups();
    await this.registry.stop();
  }

  async #configure(): Promise<void> {
    const folder = this.#folder;
    for (const part of ["nri", "cdi", "cni", "hooks", "exits", "attach", "logs", "policies"]) {
      await Deno.mkdir(join(folder, part), { recursive: true });
    }
    const files = {
      "cni/10-main.conflist": JSON.stringify(this.#options.network ?? MAIN_NETWORK),
      "policy.json": JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }),
      "registries.conf": registriesOf(this.registry),
      "crio.conf": configOf({ ...this.#options, ...this.#programs, ...this.paths, folder }),
    };
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeTextFile(join(folder, name), content);
    }
    await Deno.writeTextFile(join(folder, "pinns"), PINNS, { mode: 0o755 });
    await Deno.writeTextFile(join(folder, "runc"), runcOf(this.#programs), { mode: 0o755 });
  }

  async #addImages(): Promise<void> {
    const busybox = await Deno.readFile(this.busybox);
    const sleep = ["/bin/sleep", "2147483647"];
    for (const [name, entrypoint] of [[PAUSE_IMAGE, sleep], [IMAGE, ["/bin/sh"]]] as const) {
      this.#add(name, busyboxParts(busybox, entrypoint));
    }
  }

  #add(name: string, image: ImageParts): void {
    this.#images.set(name, image);
    const [, repository, tag] = name.match(/^[^/]+\/(.+):(.+)$/)!;
    this.registry.add(repository!, tag!, image);
  }
}

/**
 * Makes a pod's namespaces and leaves them as files, which CRI-O asks of a program with that name:
 * `pinns -d FOLDER -f NAME [-s SYSCTL=VALUE]… --KIND…`, where a kind may be the caller's own (`=host`).
 */
const PINNS = `#!/bin/sh
set -e
made= sysctls=
while [ $# -gt 0 ]; do
  case $1 in
    -d) folder=$2; shift ;;
    -f) name=$2; shift ;;
    -s) sysctls="$sysctls $2"; shift ;;
    --*)
      kind=\${1#--} kind=\${kind%=host}
      file=$folder/\${kind}ns/$name
      mkdir -p "$folder/\${kind}ns"
      : > "$file"
      case $1 in
        *=host) mount --bind "/proc/self/ns/$kind" "$file" ;;
        *) made="$made --$kind=$file" ;;
      esac ;;
  esac
  shift
done
[ -z "$made" ] || exec unshare $made -- sh -c 'for each; do sysctl -qw "$each"; done' sh $sysctls
`;

/**
 * Without CAP_SYS_RESOURCE no process may lower its oom_score_adj, as those of pods with the priority
 * system-node-critical do: it is left as it is, for which containerd has restrict_oom_score_adj.
 */
function runcOf({ runc }: Programs): string {
  return `#!/bin/sh
last=
for each; do
  case $last in
    -b | --bundle) sed -i 's/"oomScoreAdj": *-[0-9]*/"oomScoreAdj": 0/' "$each/config.json" ;;
  esac
  last=$each
done
exec ${runc} "$@"
`;
}

/**
 * With cgroup v1, CRI-O uses each controller that the kernel has (CgroupHasHugetlb), and runc fails
 * where it is not mounted: of those it is told nothing, until the private node ends.
 */
async function hideControllers(folder: string): Promise<void> {
  if (await Deno.stat("/sys/fs/cgroup/cgroup.controllers").catch(() => undefined)) return;
  const lines = (await Deno.readTextFile("/proc/cgroups")).split("\n");
  const mounted = lines.filter((line) => line.split("\t")[1] !== "0");
  const file = join(folder, "cgroups");
  await Deno.writeTextFile(file, mounted.join("\n"));
  const { success, stderr } = await new Deno.Command("mount", {
    args: ["--bind", file, "/proc/cgroups"],
    stdin: "null",
  }).output();
  if (!success) throw new Error(`mount /proc/cgroups: ${new TextDecoder().decode(stderr)}`);
}

/** In whose places the test's own stands. */
const REGISTRIES = ["docker.io", "localhost"];

function registriesOf({ url }: ImageRegistry): string {
  const location = new URL(url).host;
  const tables = REGISTRIES.map((prefix) => `
[[registry]]
prefix = "${prefix}"
location = "${location}"
insecure = true
`);
  return [`unqualified-search-registries = ["${REGISTRIES[0]}"]`, ...tables].join("\n");
}

function configOf(
  { folder, conmon, cniPath, ownPlugins, nri, cdi }: Programs & {
    readonly folder: string;
    readonly ownPlugins?: string;
    readonly nri: string;
    readonly cdi: string;
  },
): string {
  return `
[crio]
root = "${folder}/storage"
runroot = "${folder}/run"
storage_driver = "overlay"
log_dir = "${folder}/logs"
version_file = "${folder}/version"
version_file_persist = ""
clean_shutdown_file = "${folder}/clean"
[crio.api]
listen = "${folder}/crio.sock"
stream_port = "0"
[crio.runtime]
default_runtime = "runc"
cgroup_manager = "cgroupfs"
disable_hostport_mapping = true
conmon_cgroup = "pod"
pinns_path = "${folder}/pinns"
hooks_dir = ["${folder}/hooks"]
cdi_spec_dirs = ["${cdi}"]
container_exits_dir = "${folder}/exits"
container_attach_socket_dir = "${folder}/attach"
[crio.runtime.runtimes.runc]
runtime_path = "${folder}/runc"
runtime_root = "${folder}/containers"
monitor_path = "${conmon}"
monitor_cgroup = "pod"
[crio.image]
pause_image = "${PAUSE_IMAGE}"
pause_command = ""
signature_policy = "${folder}/policy.json"
signature_policy_dir = "${folder}/policies"
[crio.network]
network_dir = "${folder}/cni"
plugin_dirs = ${JSON.stringify([cniPath, ownPlugins ?? cniPath])}
[crio.nri]
enable_nri = true
nri_listen = "${nri}"
nri_plugin_dir = "${folder}/nri/plugins"
nri_plugin_config_dir = "${folder}/nri/conf"
`;
}
