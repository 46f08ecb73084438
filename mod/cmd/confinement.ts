import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { namespaceFolders } from "../cni/plugin_runner.ts";
import { socketPaths } from "../dra/socket_paths.ts";
import { STATE_PATHS } from "../files/state_paths.ts";
import { describeAddress } from "../observe/server.ts";
import { hiddenPath } from "../unix/listen.ts";
import type { ApiAccess } from "./api_access.ts";
import type { RunConfig } from "./run_config.ts";

/** Of Deno's permissions, those of the part of the agent that speaks with others. */
export interface Confinement {
  readonly read: string[];
  readonly write: string[];
  readonly net: string[];
  readonly env: "inherit";
  readonly sys: ("hostname" | "cpus" | "osRelease" | "statfs" | "networkInterfaces")[];
  readonly run: false;
  readonly ffi: false;
  readonly import: false;
}

/**
 * What the agent may do with these settings, and no more: the folders, sockets and hosts that they
 * name. It runs nothing; plugins are run for it (see Warden).
 *
 * @param access what the API server's credentials name
 * @param code folders of the agent's own code, where it is not in one file
 */
export function confinementOf(
  config: RunConfig,
  { access, code }: { readonly access: ApiAccess; readonly code: readonly string[] },
): Confinement {
  const { kubeletDir, driverName: driver, podUid, stateDir, cdiDir, nriSocket, listen } = config;
  const sockets = Object.values(socketPaths({ kubeletDir, driver, podUid }));
  const ours = [
    // And not the launcher beside them, which the warden runs.
    ...Object.values(STATE_PATHS).map((name) => join(stateDir, name)),
    ...cdiDir ? [cdiDir] : [],
    join(kubeletDir, "plugins", driver),
    join(kubeletDir, "plugins_registry"),
  ];
  return {
    read: [
      ...ours,
      stateDir,
      nriSocket,
      // Is a plugin there? Is a namespace one? Into another root lead links in the state folder.
      ...config.chrootDir ? [] : config.cniPath,
      ...namespaceFolders(config.netnsDir),
      ...config.networkDir ? [config.networkDir] : [],
      ...config.sysfsDir === "/sys" ? [] : [config.sysfsDir],
      ...access.files,
      ...code,
    ],
    // Deno takes connecting to a socket for writing to it.
    write: [...ours, nriSocket],
    net: [
      access.host,
      ...listen ? [describeAddress(listen)] : [],
      ...[...sockets, ...sockets.map(hiddenPath), nriSocket].map((path) => `unix:${path}`),
    ],
    env: "inherit",
    sys: ["hostname", "cpus", "osRelease", "statfs", "networkInterfaces"],
    run: false,
    ffi: false,
    import: false,
  };
}

/**
 * Where the modules are that are loaded when they are needed: beside the first. An executable of
 * `deno compile` holds them itself, and their URL names a folder that is not there, or somebody else's.
 *
 * @param code URL of the first
 */
export function codeFolders(code: string): string[] {
  if (Deno.build.standalone || !code.startsWith("file:")) return [];
  return [dirname(fileURLToPath(code))];
}
