import { basename, dirname, resolve } from "node:path";
import { assertRuntimeConfig } from "./invocation.ts";
import type { RunProgram } from "./program.ts";

/**
 * What every plugin gets besides what CNI says: where it finds programs such as iptables; and, as
 * most plugins are Go programs that live for some milliseconds, that neither more threads than one
 * nor a collection of garbage is worth its start (an eighth of the time of an ADD). A plugin that
 * needs much memory still gets it collected.
 */
const SURROUNDINGS: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  GOMAXPROCS: "1",
  GOGC: "off",
  GOMEMLIMIT: "64MiB",
};

const COMMANDS = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"];

/** Pairs as CNI_ARGS has them (CNI SPEC, section 2). */
const ARGS = /^([A-Za-z0-9_]+=[^;\0]*(;|$))*$/;

/** How long CNI_ARGS may be, in bytes: names of pods and namespaces are far shorter. */
const MOST_ARGS = 4096;

/** The variables that an operation may set; all others are decided here. */
const VARIABLES = ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"];

/** What stands for a container's values where VERSION concerns none (see Plugins.versions). */
const DUMMY = "dummy";

/** The same folder; runtimes say one or the other. */
const USUAL_NAMESPACES = ["/var/run/netns", "/run/netns"];

/** The folders that a path of a pod's network namespace may be in. */
export function namespaceFolders(netnsDir: string): readonly string[] {
  return USUAL_NAMESPACES.includes(netnsDir) ? USUAL_NAMESPACES : [netnsDir];
}

/** What bounds the plugins that a request may run. */
export interface PluginRunnerOptions {
  /** Folders of the plugins: no other program is run. */
  readonly cniPath: readonly string[];
  /** The folder of the pods' network namespaces: plugins enter no others. */
  readonly netnsDir: string;
  readonly run: RunProgram;
}

/**
 * Runs plugins for a caller that is not trusted. The environment given says which operation it is;
 * which program is run, and where that finds others, is decided by the settings.
 *
 * @returns rejects without running anything where the path is not a plugin's, or a variable is
 * another one or not what CNI says
 */
export function pluginRunner({ cniPath, netnsDir, run }: PluginRunnerOptions): RunProgram {
  const folders = namespaceFolders(netnsDir);
  return async (path, options) => {
    if (!cniPath.includes(dirname(path)) || /^\.{0,2}$/.test(basename(path))) {
      throw new Error(`${path} is not a plugin of ${cniPath.join(", ")}`);
    }
    assertVariables(options.env, folders);
    const env = { ...options.env, ...SURROUNDINGS, CNI_PATH: cniPath.join(":") };
    return await run(path, { ...options, env });
  };
}

/** @throws Error that names the variable */
function assertVariables(env: Readonly<Record<string, string>>, folders: readonly string[]): void {
  const foreign = Object.keys(env).filter((name) => !VARIABLES.includes(name));
  if (foreign.length > 0) {
    throw new Error(`a request must not set ${foreign.join(", ")} for plugins`);
  }
  const { CNI_COMMAND = "", CNI_CONTAINERID = "", CNI_NETNS = "", CNI_IFNAME = "", CNI_ARGS = "" } =
    env;
  if (!COMMANDS.includes(CNI_COMMAND)) throw invalid("CNI_COMMAND", CNI_COMMAND);
  if (CNI_CONTAINERID !== "" || CNI_IFNAME !== "") {
    assertRuntimeConfig({ containerID: CNI_CONTAINERID, ifName: CNI_IFNAME });
  }
  if (CNI_ARGS.length > MOST_ARGS || !ARGS.test(CNI_ARGS)) throw invalid("CNI_ARGS", CNI_ARGS);
  const noNamespace = CNI_NETNS === "" || CNI_COMMAND === "VERSION" && CNI_NETNS === DUMMY;
  if (!noNamespace) assertNamespacePath(CNI_NETNS, folders);
}

/** @throws Error unless a pod's network namespace can be at the path */
export function assertNamespacePath(path: string, folders: readonly string[]): void {
  if (!isNamespacePath(path, folders)) throw invalid("CNI_NETNS", path);
}

/** A file directly in one of the folders, or a descriptor of this process that holds a namespace. */
function isNamespacePath(path: string, folders: readonly string[]): boolean {
  const held = path.match(/^\/proc\/([0-9]+)\/fd\/[0-9]+$/);
  if (held) return Number(held[1]) === Deno.pid;
  return resolve(path) === path && folders.includes(dirname(path));
}

function invalid(variable: string, value: string): Error {
  return new Error(`invalid ${variable} ${JSON.stringify(value.slice(0, 80))}`);
}
