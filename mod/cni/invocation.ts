/** Pure: what a plugin is given, as libcni gives it. */
import type { CniResult, RuntimeConfig } from "../agent/model.ts";
import { parseInterfaceName } from "../claim/interface_names.ts";
import type { NetworkList, PluginConfig } from "../claim/network_list.ts";
import type { Command } from "./error.ts";

/** A container id as libcni takes it. */
const CONTAINER_ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** @throws Error when libcni would refuse the arguments before it runs anything */
export function assertRuntimeConfig(
  { containerID, ifName }: Pick<RuntimeConfig, "containerID" | "ifName">,
): void {
  if (!CONTAINER_ID.test(containerID)) {
    throw new Error(`invalid container ID ${JSON.stringify(containerID)}`);
  }
  parseInterfaceName(ifName, "CNI_IFNAME");
}

export interface InvocationOptions {
  readonly command: Command;
  readonly runtime?: RuntimeConfig;
}

/**
 * The CNI variables of an operation; GC and STATUS concern no container. CNI_PATH is not the
 * operation's (see pluginRunner).
 */
export function environment({ command, runtime }: InvocationOptions): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: runtime?.containerID ?? "",
    CNI_NETNS: runtime?.netns ?? "",
    CNI_IFNAME: runtime?.ifName ?? "",
    CNI_ARGS: runtime?.args.map(([key, value]) => `${key}=${value}`).join(";") ?? "",
  };
}

export interface StdinOptions {
  readonly runtime?: RuntimeConfig;
  readonly prevResult?: CniResult;
  /** Further keys, such as GC's lists. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** What a plugin reads: its own object, with what the list and the runtime add to it. */
export function stdin(
  network: NetworkList,
  plugin: PluginConfig,
  { runtime, prevResult, more }: StdinOptions = {},
): Record<string, unknown> {
  const runtimeConfig: Record<string, unknown> = {};
  for (const [capability, value] of Object.entries(runtime?.capabilityArgs ?? {})) {
    if (plugin.capabilities?.[capability] === true) runtimeConfig[capability] = value;
  }
  return {
    ...withLowerCaseMac(plugin),
    name: network.name,
    cniVersion: network.cniVersion,
    ...(Object.keys(runtimeConfig).length > 0 &&
      { runtimeConfig: withLowerCaseMac(runtimeConfig) }),
    ...(prevResult && { prevResult }),
    ...more,
  };
}

/** CHECK of the reference plugins compares MAC addresses as text, with the kernel's lower case. */
function withLowerCaseMac(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { mac } = fields;
  return { ...fields, ...(typeof mac === "string" && { mac: mac.toLowerCase() }) };
}
