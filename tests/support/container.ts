import { basename, dirname, join } from "node:path";
import type { AgentContainer, AgentPod } from "./deployment.ts";

/** The shared libraries of gcr.io/distroless/cc: those of libc6, libgcc-s1 and libstdc++6. */
const DISTROLESS_LIBRARIES =
  /^(ld-linux[\w-]*\.so|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+|resolv|util|anl|nss_\w+)\.so)/;

/** What a container runtime gives to every container. */
const DEVICES = ["null", "zero", "full", "random", "urandom"];

export interface ContainerOptions {
  /** An empty folder that becomes the container's root. */
  readonly root: string;
  readonly pod: AgentPod;
  readonly agent: AgentContainer;
  /** Where a folder of the node really is; it is where the pod says otherwise. */
  readonly node: (hostPath: string) => string;
  /** The folder with the content of the pod's ConfigMap. */
  readonly config: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface ContainerCommand {
  readonly program: string;
  readonly args: string[];
}

/**
 * A container as a kubelet has one made for the agent's pod, as far as that goes with no container
 * runtime: its root holds the C libraries of distroless/cc, a table of users and the program, and is
 * read-only; folders of the node are mounted as the pod says; capabilities are those of its security
 * context. Not reproduced: seccomp, AppArmor, SELinux, the namespaces for processes and cgroups.
 */
export class Container {
  readonly #options: ContainerOptions;

  private constructor(options: ContainerOptions) {
    this.#options = options;
  }

  /** Lays out the root with some files of this machine in it. */
  static async create(
    options: ContainerOptions,
    files: Readonly<Record<string, string>>,
  ): Promise<Container> {
    const { root } = options;
    for (const folder of ["etc", "tmp", "proc", "sys", "dev", "root", ".tools"]) {
      await Deno.mkdir(join(root, folder), { recursive: true });
    }
    for (const device of DEVICES) await Deno.writeTextFile(join(root, "dev", device), "");
    await Deno.writeTextFile(join(root, "etc/passwd"), "root:x:0:0:root:/root:/sbin/nologin\n");
    for (const [path, source] of Object.entries(files)) await copy(source, join(root, path));
    for (const library of await libraries(Object.values(files))) {
      if (!DISTROLESS_LIBRARIES.test(basename(library))) {
        throw new Error(`${library} is not in gcr.io/distroless/cc`);
      }
      await copy(library, join(root, library));
    }
    // It gives up capabilities last, from inside, and brings the library that it needs for that.
    await copy("/usr/bin/setpriv", join(root, ".tools/setpriv"));
    for (const library of await libraries(["/usr/bin/setpriv"])) {
      await copy(library, join(root, ".tools", basename(library)));
    }
    return new Container(options);
  }

  /** How to run a program in it; the process that is started becomes the program. */
  command(program: string, args: readonly string[] = []): ContainerCommand {
    const { root, agent, env } = this.#options;
    const { privileged, capabilities, allowPrivilegeEscalation } = agent.securityContext;
    const drop = privileged ? [] : [
      `--bounding-set=${["-all", ...capabilities!.add.map(plus)].join(",")}`,
      `--inh-caps=-all`,
    ];
    if (allowPrivilegeEscalation === false) drop.push("--no-new-privs");
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const script = ["set -eu", ...this.#mounts(), 'exec "$@"'].join("\n");
    const loader = this.#loader();
    return {
      program: "unshare",
      args: [
        ...["--mount", "--propagation", "slave", "--", "sh", "-c", script, "container"],
        ...["env", "-i", ...variables, "/usr/sbin/chroot", root],
        ...[loader, "--library-path", "/.tools", "/.tools/setpriv", ...drop, "--"],
        ...[program, ...args],
      ],
    };
  }

  #loader(): string {
    const name = [...Deno.readDirSync(join(this.#options.root, ".tools"))]
      .find((file) => file.name.startsWith("ld-linux"))!.name;
    return `/.tools/${name}`;
  }

  #mounts(): string[] {
    const { root, pod, agent, node, config } = this.#options;
    const lines = [`mount --bind ${root} ${root}`];
    const bind = (source: string, target: string, ...options: string[]) => {
      lines.push(`mount --rbind ${source} ${root}${target}`);
      if (!options.includes("slave")) lines.push(`mount --make-rprivate ${root}${target}`);
      if (options.includes("ro")) lines.push(`mount -o remount,bind,ro ${root}${target}`);
    };
    for (const device of DEVICES) bind(`/dev/${device}`, `/dev/${device}`);
    lines.push(`mount -t proc proc ${root}/proc`);
    bind("/sys", "/sys", "ro");
    for (const mount of agent.volumeMounts) {
      const { hostPath } = pod.volumes.find(({ name }) => name === mount.name)!;
      lines.push(`mkdir -p ${root}${mount.mountPath}`);
      const propagation = mount.mountPropagation === "HostToContainer" ? "slave" : "private";
      const source = hostPath ? node(hostPath.path) : config;
      bind(source, mount.mountPath, propagation, mount.readOnly ? "ro" : "rw");
    }
    // Runtimes keep more of /proc from a container that is not privileged; plugins use only this.
    if (!agent.securityContext.privileged) bind(`${root}/proc/sys`, "/proc/sys", "ro");
    if (agent.securityContext.readOnlyRootFilesystem) {
      lines.push(`mount -o remount,bind,ro ${root}`);
    }
    return lines;
  }
}

const plus = (capability: string) => `+${capability.toLowerCase()}`;

async function copy(source: string, target: string): Promise<void> {
  await Deno.mkdir(dirname(target), { recursive: true });
  await Deno.copyFile(source, target);
}

/** The shared libraries of those files that are programs, by the names that their loader knows. */
async function libraries(programs: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const program of programs) {
    const { stdout } = await new Deno.Command("ldd", { args: [program] }).output();
    const said = new TextDecoder().decode(stdout);
    for (const [, path] of said.matchAll(/(?:=>\s*|^\s*)(\/\S+) \(/gm)) found.add(path!);
  }
  return [...found];
}
