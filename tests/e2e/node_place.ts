/** Where the processes of a cluster's node run, and what is made ready there for them. */
import { join } from "node:path";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";

export interface NodePlace {
  /** Stands before a command that is to run there. */
  readonly enter: readonly string[];
  /** Where its root folder is seen from here. */
  readonly root: string;
  /** The file that stands for its network namespace. */
  readonly netns: string;
}

/** The private node in which the tests run themselves. */
export const HERE: NodePlace = { enter: [], root: "", netns: "/proc/self/ns/net" };

/** The namespaces of another process. */
export function placeOf(pid: number): NodePlace {
  return {
    // It becomes the program, and so gets its signals.
    enter: ["nsenter", "--target", `${pid}`, "--net", "--mount", "--"],
    root: `/proc/${pid}/root`,
    netns: `/proc/${pid}/ns/net`,
  };
}

/** Folders of a node where the chart's default values look for them. */
export const FOLDERS = {
  kubelet: "/var/lib/kubelet",
  nri: "/run/nri",
  cdi: "/run/cdi",
  netns: "/run/netns",
  state: "/var/lib/network-dra",
  leases: "/var/lib/cni",
  /** Of the plugin dhcp; the marks of the tests' own plugins are in it too. */
  plugins: "/run/cni",
  logs: "/var/log",
  /** Of CNI configurations that claims can name. */
  networks: "/run/networks",
} as const;

/** The node's CNI plugins, and those that the cases write. */
export const CNI_BIN = "/opt/cni/bin";
export const OWN_CNI_BIN = "/opt/cni/own";

/** What the kubelet sets on its machine (pkg/kubelet/cm, setupKernelTunables). */
const KERNEL_SETTINGS: Readonly<Record<string, string>> = {
  "vm/overcommit_memory": "1",
  "vm/panic_on_oom": "0",
  "kernel/panic": "10",
  "kernel/panic_on_oops": "1",
  "kernel/keys/root_maxkeys": "1000000",
  "kernel/keys/root_maxbytes": "25000000",
};

/**
 * Gives a node its own folders, in memory, whatever the machine has there, and keeps from the
 * machine what a kubelet does to it beyond its namespaces: settings of the kernel, for which it finds
 * files that hold what it wants.
 *
 * @param folder for those files
 */
export async function furnish(
  place: NodePlace,
  { folder }: { readonly folder: string },
): Promise<void> {
  const mount = (...args: string[]) => runOn(place, "mount", ...args);
  const [upper, work] = [join(folder, "opt"), join(folder, "opt-work")];
  for (const path of [upper, work]) await Deno.mkdir(path, { recursive: true });
  // What is there stays readable: the programs in use may live there.
  await mount(
    "-t",
    "overlay",
    "-o",
    `lowerdir=/opt,upperdir=${upper},workdir=${work}`,
    "opt",
    "/opt",
  );
  for (const path of [...Object.values(FOLDERS), CNI_BIN, OWN_CNI_BIN]) {
    await Deno.mkdir(place.root + path, { recursive: true });
  }
  for (const path of Object.values(FOLDERS)) {
    await mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", path);
  }
  const [cniPath] = await fetchCniPlugins();
  await mount("--bind", cniPath!, CNI_BIN);
  for (const [setting, value] of Object.entries(KERNEL_SETTINGS)) {
    const file = join(folder, setting.replaceAll("/", "."));
    await Deno.writeTextFile(file, `${value}\n`);
    await mount("--bind", file, `/proc/sys/${setting}`);
  }
  // As systemd leaves it: what is mounted later reaches the containers that have its folder.
  await mount("--make-rshared", "/");
}

/** Runs a program on a node and gives what it printed; rejects with its error. */
export async function runOn(
  { enter }: NodePlace,
  ...command: readonly string[]
): Promise<string> {
  const [program, ...args] = [...enter, ...command];
  const { success, stdout, stderr } = await new Deno.Command(program!, {
    args,
    stdin: "null",
  }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(`${command.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
