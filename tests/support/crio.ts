import { createHash } from "node:crypto";
import { join } from "node:path";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";
import type { Cri } from "./cri.ts";
import { buildOnce, go } from "./go.ts";
import { busyboxParts } from "./image.ts";
import { ImageRegistry } from "./image_registry.ts";
import { MAIN_NETWORK, RuntimeDaemon } from "./runtime_daemon.ts";

const SOURCE = new URL("../integration/crio", import.meta.url).pathname;
const IMAGE = "library/busybox";
const PAUSE_IMAGE = "library/pause";
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
export class Crio {
  readonly #folder: string;
  readonly #programs: Programs;
  readonly #registry: ImageRegistry;
  readonly #daemon: RuntimeDaemon;

  private constructor(folder: string, programs: Programs) {
    this.#folder = folder;
    this.#programs = programs;
    this.#registry = ImageRegistry.start();
    this.#daemon = new RuntimeDaemon({
      program: programs.crio,
      args: ["--config", join(folder, "crio.conf"), "--config-dir", ""],
      env: { CONTAINERS_REGISTRIES_CONF: join(folder, "registries.conf") },
      ...this.paths,
      cgroup: `network-dra-test-${crypto.randomUUID().slice(0, 8)}`,
      image: this.#nameOf(IMAGE),
    });
  }

  /** @param folder everything of it lives there */
  static async start(folder: string): Promise<Crio> {
    const programs = await fetchCrio();
    if ("missing" in programs) throw new Error(programs.missing);
    const crio = new Crio(folder, programs);
    const busybox = await Deno.readFile(programs.busybox);
    const sleep = ["/bin/sleep", "2147483647"];
    crio.#registry.add(IMAGE, "latest", busyboxParts(busybox, ["/bin/sh"]));
    crio.#registry.add(PAUSE_IMAGE, "latest", busyboxParts(busybox, sleep));
    await crio.#configure();
    await crio.restart();
    await crio.cri.pullImage();
    return crio;
  }

  get paths() {
    return {
      socket: join(this.#folder, "crio.sock"),
      nri: join(this.#folder, "nri/nri.sock"),
      cdi: join(this.#folder, "cdi"),
      log: join(this.#folder, "crio.log"),
    };
  }

  /** The folder of real CNI plugins. */
  get cniPath(): string {
    return this.#programs.cniPath;
  }

  get cri(): Cri {
    return this.#daemon.cri;
  }

  /** Starts it, again where it was killed. */
  restart(): Promise<void> {
    return this.#daemon.restart();
  }

  /** Ends the daemon; pods go on. */
  kill(): Promise<void> {
    return this.#daemon.kill();
  }

  /** Ends it and all that it started. */
  async stop(): Promise<void> {
    await this.#daemon.kill("SIGTERM");
    await this.#registry.stop();
    await this.#daemon.removeCgroups();
  }

  #nameOf(image: string): string {
    return `${new URL(this.#registry.url).host}/${image}:latest`;
  }

  async #configure(): Promise<void> {
    const folder = this.#folder;
    for (const part of ["nri", "cdi", "cni", "hooks", "exits", "attach", "logs", "policies"]) {
      await Deno.mkdir(join(folder, part), { recursive: true });
    }
    const registry = new URL(this.#registry.url).host;
    const files = {
      "cni/10-main.conflist": JSON.stringify(MAIN_NETWORK),
      "policy.json": JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }),
      "registries.conf": `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`,
      "crio.conf": configOf({ folder, pauseImage: this.#nameOf(PAUSE_IMAGE), ...this.#programs }),
    };
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeTextFile(join(folder, name), content);
    }
    await Deno.writeTextFile(join(folder, "pinns"), PINNS, { mode: 0o755 });
  }
}

/**
 * Makes a pod's namespaces and leaves them as files, which CRI-O asks of a program of that name:
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

function configOf(
  { folder, pauseImage, conmon, runc, cniPath }: Programs & {
    readonly folder: string;
    readonly pauseImage: string;
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
cdi_spec_dirs = ["${folder}/cdi"]
container_exits_dir = "${folder}/exits"
container_attach_socket_dir = "${folder}/attach"
[crio.runtime.runtimes.runc]
runtime_path = "${runc}"
runtime_root = "${folder}/runc"
monitor_path = "${conmon}"
monitor_cgroup = "pod"
[crio.image]
pause_image = "${pauseImage}"
pause_command = ""
signature_policy = "${folder}/policy.json"
signature_policy_dir = "${folder}/policies"
[crio.network]
network_dir = "${folder}/cni"
plugin_dirs = ["${cniPath}"]
[crio.nri]
enable_nri = true
nri_listen = "${folder}/nri/nri.sock"
nri_plugin_dir = "${folder}/nri/plugins"
nri_plugin_config_dir = "${folder}/nri/conf"
`;
}
