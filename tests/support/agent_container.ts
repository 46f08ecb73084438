/** The agent's container on a simulated node, as the chart's objects describe it. */
import { join } from "node:path";
import { IMAGE_FILE } from "../../deploy/image/build.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { SimulatedNode } from "../../mod/simulator/node.ts";
import { Container, type ContainerCommand, layOutRoot } from "./container.ts";
import { type AgentContainer, agentPod } from "./deployment.ts";
import { readImage } from "./image.ts";

export const DRIVER = "dra.networking";

const [pluginFolder] = await fetchCniPlugins();
const image = readImage(await Deno.readFile(IMAGE_FILE));
const { Entrypoint: entrypoint, Env: imageEnv } =
  JSON.parse(new TextDecoder().decode(image.config)).config;

export interface NodeWithContainer {
  readonly node: SimulatedNode;
  readonly make: (options?: {
    readonly securityContext?: AgentContainer["securityContext"];
    readonly env?: Readonly<Record<string, string>>;
    /** Another container of the pod, and what its volumes hold that are not the node's. */
    readonly other?: { readonly container: AgentContainer; readonly content: string };
  }) => Container;
  /** The arguments of the agent on this node. */
  readonly args: readonly string[];
}

/**
 * Runs with a node whose kubelet folder is where most nodes have it, and a container on it. The
 * node's root folder is this machine's.
 *
 * @param manifests the chart's objects
 */
export async function withContainer(
  manifests: string,
  body: (parts: NodeWithContainer) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const node = new SimulatedNode({ name: "node-1", folder, driver: DRIVER, step: () => {} });
  await node.start();
  for (const path of [`kubelet/plugins/${DRIVER}`, "state", "cdi", "config", "leases"]) {
    await Deno.mkdir(join(folder, path), { recursive: true });
  }
  for (const path of ["/run/netns", "/run/cni"]) {
    await Deno.mkdir(path, { recursive: true });
  }
  await Deno.writeTextFile(join(folder, "config/config.yaml"), "{}\n");
  const root = join(folder, "root");
  await layOutRoot(root, image);
  await using mounts = new AsyncDisposableStack();
  for (
    const [source, target] of [
      // The agent tells the kubelet and the runtime of files in these.
      [node.paths.kubeletDir, "/var/lib/kubelet"],
      [node.paths.cdiDir, "/var/run/cdi"],
      // Apart from that of the other tests: host-local goes on after the last address it gave.
      [join(folder, "leases"), "/var/lib/cni"],
    ] as const
  ) {
    await Deno.mkdir(target, { recursive: true });
    await mount("--bind", source, target);
    mounts.defer(() => unmount(target));
  }
  // As systemd leaves it: what is mounted there later reaches those who have it mounted.
  await mount("--make-shared", "/run");
  const places: Readonly<Record<string, string>> = {
    "/var/run/nri": folder,
    "/var/run/cdi": node.paths.cdiDir,
    "/var/lib/network-dra": node.paths.stateDir,
    "/opt/cni/bin": pluginFolder!,
  };
  const { pod, agent } = agentPod(manifests);
  const inNodesRoot = agent.args.some((arg) => arg.startsWith("--chroot-dir="));
  try {
    await body({
      node,
      // Nothing is mounted over the machine's own folder of plugins.
      args: inNodesRoot ? [...agent.args, `--cni-path=${pluginFolder}`] : agent.args,
      make: ({ securityContext, env = {}, other } = {}) =>
        new Container({
          root,
          pod,
          agent: { ...other?.container ?? agent, ...securityContext && { securityContext } },
          node: (path) => places[path] ?? path,
          config: other?.content ?? join(folder, "config"),
          // The simulated API server takes no ServiceAccount; its kubeconfig lies beside the runtime's socket.
          env: {
            ...Object.fromEntries(imageEnv.map((variable: string) => variable.split("="))),
            NODE_NAME: "node-1",
            POD_UID: "4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55",
            KUBECONFIG: "/var/run/nri/kubeconfig",
            ...env,
          },
        }),
    });
  } finally {
    await mount("--make-private", "/run");
    await node.stop();
    await mounts.disposeAsync();
    await Deno.remove(folder, { recursive: true });
  }
}

/** As a container of the image is started with these arguments. */
export function entrypointWith(args: readonly string[]): [string, string[]] {
  const [first, ...others] = entrypoint;
  return [first, [...others, ...args]];
}

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command of a container to its end. */
export async function runIn({ program, args }: ContainerCommand, input = ""): Promise<Ended> {
  const child = new Deno.Command(program, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // Who does not read its input may have ended already.
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out!, err: err! };
}

const mount = (...args: string[]) => succeed("mount", args);
const unmount = (target: string) => succeed("umount", [target]);

async function succeed(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr).trim()}`);
}
