import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { namespaceFolders } from "../cni/plugin_runner.ts";
import { socketPaths } from "../dra/socket_paths.ts";
import { STATE_PATHS } from "../files/state_paths.ts";
import { describeAddress } from "../observe/serve.ts";
import { statusSocket } from "../status/socket.ts";
import { hiddenPath } from "../unix/listen.ts";
import type { ApiAccess } from "./api_access.ts";
import type { RunConfig } from "./run_config.ts";

/** Deno's permissions of the part of the agent that communicates with others. */
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
 * What the agent needs with these settings, and nothing else: the folders, sockets and hosts that they
 * name. It cannot run programs; the warden runs plugins for it (see Warden).
 *
 * @param access what the API server's credentials name
 * @param code folders of the agent's own code, where it is not in one file
 */
export function confinementOf(
  config: RunConfig,
  { access, code }: { readonly access: ApiAccess; readonly code: readonly string[] },
): Confinement {
  const { kubeletDir, driverName: driver, podUid, stateDir, cdiDir, nriSocket } = config;
  const addresses = [config.listen, config.metricsSecure].filter((address) => address !== null);
  const sockets = [
    ...Object.values(socketPaths({ kubeletDir, driver, podUid })),
    ...[statusSocket({ stateDir, podUid })].filter((path) => path !== undefined),
  ];
  const ours = [
    // Not the launcher beside them, which the warden runs.
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
      // To see whether plugins and namespaces exist. Links in the state folder lead into another root.
      ...config.chrootDir ? [] : config.cniPath,
      ...namespaceFolders(config.netnsDir),
      ...config.networkDir ? [config.networkDir] : [],
      ...config.sysfsDir === "/sys" ? [] : [config.sysfsDir],
      ...access.files,
      // When the kubelet renews a Secret, their folder points to other ones.
      ...[config.metricsCert, config.metricsKey].filter(Boolean).map(dirname),
      ...code,
    ],
    // Deno treats connecting to a socket as writing to it.
    write: [...ours, nriSocket],
    net: [
      access.host,
      ...addresses.map(describeAddress),
      ...config.tracesEndpoint === "" ? [] : [hostOf(config.tracesEndpoint)],
      ...[...sockets, ...sockets.map(hiddenPath), nriSocket].map((path) => `unix:${path}`),
    ],
    env: "inherit",
    sys: ["hostname", "cpus", "osRelease", "statfs", "networkInterfaces"],
    run: false,
    ffi: false,
    import: false,
  };
}

/** Host and port of a URL. */
function hostOf(url: string): string {
  const { protocol, hostname, port } = new URL(url);
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}

/**
 * The folder of the modules that are loaded when needed: beside the first one. An executable of
 * `deno compile` contains them, and their URL names a folder that does not exist or belongs to someone else.
 *
 * @param code URL of the first
 */
export function codeFolders(code: string): string[] {
  if (Deno.build.standalone || !code.startsWith("file:")) return [];
  return [dirname(fileURLToPath(code))];
}
