import type { AttachResult, Cni, CniResult, RuntimeConfig } from "../agent/ports.ts";
import type { NetworkList, PluginConfig } from "../claim/network_list.ts";
import { CniError, type Command, shortened } from "./error.ts";
import { assertRuntimeConfig, environment, stdin } from "./invocation.ts";
import { networkData } from "./network_data.ts";
import type { PluginCall, Plugins } from "./plugins.ts";
import { atLeast, convertResult, parseResult, toCurrent } from "./result.ts";

/** An attachment that GC shall keep (CNI SPEC, GC). */
export interface ValidAttachment {
  readonly containerID: string;
  readonly ifname: string;
}

/** One command for one plugin of a network. */
interface Operation {
  readonly command: Command;
  readonly network: NetworkList;
  readonly plugin: PluginConfig;
  /** Absent where no container is concerned: GC and STATUS. */
  readonly runtime?: RuntimeConfig;
  readonly signal: AbortSignal;
}

/** The operations of the CNI SPEC on network configuration lists, as libcni carries them out. */
export class CniRunner implements Cni {
  readonly #plugins: Plugins;

  constructor(plugins: Plugins) {
    this.#plugins = plugins;
  }

  async verify(network: NetworkList, signal: AbortSignal): Promise<void> {
    for (const type of pluginTypes(network)) {
      const versions = await this.#plugins.versions(type, { network: network.name, signal });
      if (!versions.includes(network.cniVersion)) {
        throw new CniError(
          `it does not speak cniVersion ${network.cniVersion}, only ${versions.join(", ")}`,
          { plugin: type, network: network.name, command: "VERSION" },
        );
      }
    }
    await this.status(network, signal);
  }

  async add(
    network: NetworkList,
    runtime: RuntimeConfig,
    signal: AbortSignal,
  ): Promise<AttachResult> {
    assertRuntimeConfig(runtime);
    let prevResult: CniResult | undefined;
    for (const plugin of network.plugins) {
      const operation = { command: "ADD", network, plugin, runtime, signal } as const;
      const answer = await this.#plugins.ask(this.#callOf(operation, prevResult));
      try {
        prevResult = parseResult(answer, network.cniVersion);
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new CniError(answer === undefined ? "it printed no result" : why, {
          plugin: plugin.type,
          network: network.name,
          command: "ADD",
          cause,
        });
      }
    }
    const result = toCurrent(prevResult!);
    return { result, networkData: networkData(result, runtime) };
  }

  /** In reverse; a plugin that fails does not keep the others from their DEL. */
  async del(
    network: NetworkList,
    runtime: RuntimeConfig,
    prevResult: CniResult | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    assertRuntimeConfig(runtime);
    const given = atLeast(network.cniVersion, "0.4.0")
      ? inVersionOf(network, prevResult)
      : undefined;
    await all(network.plugins.toReversed(), async (plugin) => {
      const call = this.#callOf({ command: "DEL", network, plugin, runtime, signal }, given);
      await this.#plugins.call(call);
      // Without a namespace some plugins (host-device) leave at once, and their lease stays.
      const ipam = runtime.netns === "" ? ipamType(plugin) : undefined;
      if (ipam !== undefined) await this.#plugins.call({ ...call, type: ipam });
    });
  }

  async check(
    network: NetworkList,
    runtime: RuntimeConfig,
    prevResult: CniResult,
    signal: AbortSignal,
  ): Promise<void> {
    if (!atLeast(network.cniVersion, "0.4.0")) {
      throw new Error(
        `network ${JSON.stringify(network.name)} has cniVersion ${network.cniVersion}; ` +
          "CHECK came with 0.4.0",
      );
    }
    if (network.disableCheck) return;
    assertRuntimeConfig(runtime);
    const given = inVersionOf(network, prevResult);
    for (const plugin of network.plugins) {
      await this.#call({ command: "CHECK", network, plugin, runtime, signal }, given);
    }
  }

  /** Tells the plugins which attachments there are, so that they free all else. Before 1.1.0 nothing. */
  async gc(
    network: NetworkList,
    { valid, signal }: { readonly valid: readonly ValidAttachment[]; readonly signal: AbortSignal },
  ): Promise<void> {
    if (network.disableGC || !atLeast(network.cniVersion, "1.1.0")) return;
    const more = { "cni.dev/valid-attachments": valid, "cni.dev/attachments": valid };
    await all(
      network.plugins,
      (plugin) => this.#call({ command: "GC", network, plugin, signal }, undefined, more),
    );
  }

  /** Rejects when a plugin says that it cannot serve an ADD now. Before 1.1.0 nothing is asked. */
  async status(network: NetworkList, signal: AbortSignal): Promise<void> {
    if (!atLeast(network.cniVersion, "1.1.0")) return;
    for (const plugin of network.plugins) {
      await this.#call({ command: "STATUS", network, plugin, signal });
    }
  }

  async #call(
    operation: Operation,
    prevResult?: CniResult,
    more?: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.#plugins.call(this.#callOf(operation, prevResult, more));
  }

  #callOf(
    { command, network, plugin, runtime, signal }: Operation,
    prevResult?: CniResult,
    more?: Readonly<Record<string, unknown>>,
  ): PluginCall {
    return {
      command,
      type: plugin.type,
      network: network.name,
      env: environment({ command, cniPath: this.#plugins.cniPath, runtime }),
      stdin: stdin(network, plugin, { runtime, prevResult, more }),
      signal,
    };
  }
}

/** The programs that a network needs: its plugins and their IPAM plugins. */
function pluginTypes(network: NetworkList): Set<string> {
  const types = new Set<string>();
  for (const plugin of network.plugins) {
    types.add(plugin.type);
    const ipam = ipamType(plugin);
    if (ipam !== undefined) types.add(ipam);
  }
  return types;
}

function ipamType({ ipam }: PluginConfig): string | undefined {
  const type = (ipam as { type?: unknown } | null | undefined)?.type;
  return typeof type === "string" && type !== "" ? type : undefined;
}

/** A kept result in the version that the network's plugins expect. */
function inVersionOf({ cniVersion }: NetworkList, result: CniResult | undefined) {
  return result && convertResult(result, cniVersion);
}

/** Calls every plugin; rejects in the end with what failed. */
async function all(
  plugins: readonly PluginConfig[],
  call: (plugin: PluginConfig) => Promise<unknown>,
): Promise<void> {
  const errors: Error[] = [];
  for (const plugin of plugins) {
    try {
      await call(plugin);
    } catch (error) {
      errors.push(error instanceof Error ? error : new Error(String(error)));
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) {
    throw new AggregateError(errors, shortened(errors.map(({ message }) => message).join("; ")));
  }
}
