import { basename, join } from "node:path";
import type { AgentContainer, AgentPod } from "./deployment.ts";
import { type ImageParts, unpackImage } from "./image.ts";

/** What a container runtime gives to every container. */
const DEVICES = ["null", "zero", "full", "random", "urandom"];

export interface ContainerOptions {
  /** The folder with the container's root, see {@link layOutRoot}. */
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
 * Unpacks an image into an empty folder for the root of containers, with what the runtime adds to it.
 * A container gives up capabilities last, from inside, by a program of this machine with its own
 * libraries, in a folder that the image does not have.
 */
export async function layOutRoot(root: string, image: ImageParts): Promise<void> {
  await unpackImage(image, root);
  for (const device of DEVICES) await Deno.writeTextFile(join(root, "dev", device), "");
  await Deno.mkdir(join(root, TOOLS));
  for (const file of ["/usr/bin/setpriv", ...await libraries("/usr/bin/setpriv")]) {
    await Deno.copyFile(file, join(root, TOOLS, basename(file)));
  }
}

const TOOLS = "/.tools";

/**
 * A container as a kubelet has one made for the agent's pod, as far as that goes with no container
 * runtime: its root is that of the image, and read-only; folders of the node are mounted as the pod
 * says; capabilities are those of its security context. Not reproduced: seccomp, AppArmor, SELinux,
 * the namespaces for processes and cgroups.
 */
export class Container {
  readonly #options: ContainerOptions;

  constructor(options: ContainerOptions) {
    this.#options = options;
  }

  /** How to run a program in it; the process that is started becomes the program. */
  command(program: string, args: readonly string[] = []): ContainerCommand {
    const { root, agent, env } = this.#options;
    const { privileged, capabilities, allowPrivilegeEscalation } = agent.securityContext;
    const drop = privileged ? [] : [
      `--bounding-set=${["-all", ...(capabilities!.add ?? []).map(plus)].join(",")}`,
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
        ...[loader, "--library-path", TOOLS, `${TOOLS}/setpriv`, ...drop, "--"],
        ...[program, ...args],
      ],
    };
  }

  #loader(): string {
    const name = [...Deno.readDirSync(join(this.#options.root, TOOLS))]
      .find((file) => file.name.startsWith("ld-linux"))!.name;
    return `${TOOLS}/${name}`;
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

/** The shared libraries of a program, by the names that its loader knows. */
async function libraries(program: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("ldd", { args: [program] }).output();
  const said = new TextDecoder().decode(stdout);
  return [...said.matchAll(/(?:=>\s*|^\s*)(\/\S+) \(/gm)].map(([, path]) => path!);
}
