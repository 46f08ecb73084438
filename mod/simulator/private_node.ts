/**
 * A private node: separate network, mount and PID namespaces for `try` and the tests. When its first
 * process ends, the kernel removes all of them.
 */

/** Set inside, so that a program knows that it runs in a private node. */
const MARK = "NETWORK_DRA_PRIVATE_NODE";

/** Folders of the node that plugins and the runtime write to; inside, they are empty and in memory. */
const RUN = "/run";
const STATE = "/var/lib";
/** A machine that is a node has these folders already; inside, they are empty, too. */
export const NODE_STATE = ["cni", "kubelet", "network-dra"].map((name) => `${STATE}/${name}`);

/** A second mount of the machine's cgroups, for those who mount their own sysfs. */
export const PRIVATE_CGROUPS = `${RUN}/private-node/cgroup`;

/** Whether this process runs inside a private node. */
export function inPrivateNode(): boolean {
  return Deno.env.get(MARK) === "1";
}

/** Why a private node cannot be created here, in words for the user; undefined if it can. */
export async function privateNodeObstacle(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "it must run as root, to create network namespaces";
  for (
    const [program, pack] of [["unshare", "util-linux"], ["mount", "mount"], ["ip", "iproute2"]]
  ) {
    if (!await runs(program!)) {
      return `it needs the program ${program}, which is not installed (Debian's package ${pack})`;
    }
  }
  const { success, stderr } = await new Deno.Command("unshare", {
    args: [...NAMESPACES, "true"],
    stdin: "null",
  }).output();
  if (success) return undefined;
  return `this machine does not allow namespaces to be created: ${
    new TextDecoder().decode(stderr).trim()
  }`;
}

const NAMESPACES = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

/**
 * Runs a program inside a new private node, with this process's output and errors unless they are to
 * be piped.
 *
 * Its input is a pipe: unshare does not forward signals, but the program inside sees the pipe close,
 * however this process ends.
 */
export function spawnInPrivateNode(
  program: string,
  { args, env, output = "inherit" }: {
    readonly args: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly output?: "inherit" | "piped";
  },
): Deno.ChildProcess {
  return new Deno.Command("unshare", {
    args: [...NAMESPACES, program, ...args],
    env: { ...env, [MARK]: "1" },
    stdin: "piped",
    stdout: output,
    stderr: output,
  }).spawn();
}

/**
 * Call this first inside: it gives the node its own `/run`, `/var/lib` and `/sys`, and an `eth0` (a veth
 * device whose other end is connected to nothing).
 */
export async function furnishPrivateNode(): Promise<void> {
  await run("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", RUN]);
  await mountSysfs();
  const [upper, work] = [`${RUN}/private-node/upper`, `${RUN}/private-node/work`];
  for (const folder of [upper, work]) await Deno.mkdir(folder, { recursive: true });
  // The existing files stay readable: programs in use may be there.
  const layers = `lowerdir=${STATE},upperdir=${upper},workdir=${work}`;
  await run("mount", ["-t", "overlay", "-o", layers, "overlay", STATE]);
  for (const folder of NODE_STATE) {
    await Deno.mkdir(folder, { recursive: true });
    await run("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", folder]);
  }
  await ip(["link", "set", "lo", "up"]);
  await ip(["link", "add", "eth0", "type", "veth", "peer", "name", "uplink"]);
  await ip(["link", "set", "uplink", "up"]);
  await ip(["link", "set", "eth0", "up"]);
  await ip(["address", "add", "192.0.2.10/24", "dev", "eth0"]);
}

/** A new sysfs shows the interfaces of this network namespace; the cgroups are carried over. */
async function mountSysfs(): Promise<void> {
  const cgroups = "/sys/fs/cgroup";
  await Deno.mkdir(PRIVATE_CGROUPS, { recursive: true });
  await run("mount", ["--rbind", cgroups, PRIVATE_CGROUPS]);
  await run("mount", ["-t", "sysfs", "sysfs", "/sys"]);
  await run("mount", ["--rbind", PRIVATE_CGROUPS, cgroups]);
}

/** Runs `ip` and gives what it printed; rejects with its error. */
export function ip(args: readonly string[]): Promise<string> {
  return run("ip", args);
}

async function run(program: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
  }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}

async function runs(program: string): Promise<boolean> {
  try {
    await new Deno.Command(program, { args: ["--version"], stdin: "null" }).output();
    return true;
  } catch {
    return false;
  }
}
