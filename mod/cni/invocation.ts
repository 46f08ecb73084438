/** Pure: what a plugin is given, as libcni gives it. */
import type { CniResult, RuntimeConfig } from "../agent/model.ts";
import { parseInterfaceName } from "../claim/interface_names.ts";
import type { NetworkList, PluginConfig } from "../claim/network_list.ts";
import type { Command } from "./error.ts";

/** A container id as libcni takes it. */
const CONTAINER_ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/**
 * Checks the arguments that libcni checks before it runs a plugin.
 *
 * @throws Error for an invalid container ID or interface name
 */
export function assertRuntimeConfig(
  { containerID, ifName }: Pick<RuntimeConfig, "containerID" | "ifName">,
): void {
  if (!CONTAINER_ID.test(containerID)) {
    throw new Error(`invalid container ID ${JSON.stringify(containerID)}`);
  }
  parseInterfaceName(ifName, "CNI_IFNAME");
}

/** What the environment of a plugin is made from. */
export interface InvocationOptions {
  readonly command: Command;
  readonly runtime?: RuntimeConfig;
}

/**
 * Returns the CNI variables of an operation (CNI SPEC, section 2). Those of the container are empty
 * for GC and STATUS. CNI_PATH is not among them: pluginRunner() adds it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { environment } from "./invocation.ts";
 *
 * assert.equal(environment({ command: "STATUS" }).CNI_COMMAND, "STATUS");
 * ```
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

/** What is added to a plugin's configuration. */
export interface StdinOptions {
  readonly runtime?: RuntimeConfig;
  readonly prevResult?: CniResult;
  /** Further keys, such as GC's lists. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/**
 * Returns what a plugin reads on stdin, as an object: its own configuration, with what the list and
 * the runtime add to it (CNI SPEC, section 4, "Deriving execution configuration from plugin
 * configuration").
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { stdin } from "./invocation.ts";
 *
 * const plugin = { type: "macvlan" };
 * const network = { cniVersion: "1.0.0", name: "lan", plugins: [plugin] };
 * const input = { type: "macvlan", name: "lan", cniVersion: "1.0.0" };
 * assert.deepEqual(stdin(network, plugin), input);
 * ```
 */
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
