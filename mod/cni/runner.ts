import type {
  AttachResult,
  CniResult,
  Finding,
  RuntimeConfig,
  ValidAttachment,
} from "../agent/model.ts";
import type { Cni } from "../agent/ports.ts";
import type { NetworkList, PluginConfig } from "../claim/network_list.ts";
import { CniError, type Command, shortened } from "./error.ts";
import { assertRuntimeConfig, environment, stdin } from "./invocation.ts";
import { networkData } from "./network_data.ts";
import type { PluginCall, Plugins } from "./plugins.ts";
import { atLeast, convertResult, parseResult, toCurrent } from "./result.ts";
import { errorMessage } from "../async/error_message.ts";

/**
 * Error codes (CNI SPEC, section 5) with which a plugin says that it could not check: version,
 * fields, variables, input and output, decoding, configuration, and "try again later".
 */
const NOT_LOOKED: readonly number[] = [1, 2, 4, 5, 6, 7, 11];

/**
 * Errors of reference plugins at DEL when nothing is left, although DEL should then succeed (CNI
 * SPEC, section 2). They fail like this each time: host-device, whose interface is not in the pod;
 * vlan, whose master is gone together with everything on top of it; sbr, whose namespace is gone
 * with its rules.
 */
const GONE: ReadonlyMap<string, RegExp> = new Map([
  ["host-device", /: failed to find "[^"]+"( in containerNS)?: Link not found/],
  ["vlan", / failed \(delete\): Link not found/],
  ["sbr", / failed \(delete\): no such file or directory/],
]);

/** One command for one plugin of a network. */
interface Operation {
  readonly command: Command;
  readonly network: NetworkList;
  readonly plugin: PluginConfig;
  /** Absent if no container is concerned: GC and STATUS. */
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
          `it does not support cniVersion ${network.cniVersion}, only ${versions.join(", ")}`,
          { plugin: type, network: network.name, command: "VERSION" },
        );
      }
    }
    await this.status(network, signal);
  }

  async add(
    network: NetworkList,
    runtime: RuntimeConfig,
    { begins, signal }: { readonly begins?: () => Promise<void>; readonly signal: AbortSignal },
  ): Promise<AttachResult> {
    assertRuntimeConfig(runtime);
    await begins?.();
    let prevResult: CniResult | undefined;
    for (const plugin of network.plugins) {
      const operation = { command: "ADD", network, plugin, runtime, signal } as const;
      const answer = await this.#plugins.ask(this.#callOf(operation, prevResult));
      try {
        prevResult = parseResult(answer, network.cniVersion);
      } catch (cause) {
        const why = errorMessage(cause);
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

  /** In reverse order; if one plugin fails, the DELs of the others still run. */
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
      // Without a namespace, some plugins (host-device) return at once and leave their lease; and a
      // plugin that is no longer on the node must not keep the lease.
      let leaseStays = runtime.netns === "";
      const ipam = ipamType(plugin);
      await all([
        () =>
          this.#plugins.call(call).catch((error: Error) => {
            if (!GONE.get(plugin.type)?.test(error.message)) throw error;
            leaseStays = true;
          }),
        async () => {
          if (leaseStays && ipam !== undefined) await this.#plugins.call({ ...call, type: ipam });
        },
      ], (step) => step());
    });
  }

  async runCheck(
    network: NetworkList,
    runtime: RuntimeConfig,
    prevResult: CniResult,
    signal: AbortSignal,
  ): Promise<void> {
    if (!atLeast(network.cniVersion, "0.4.0")) {
      throw new Error(
        `network ${JSON.stringify(network.name)} has cniVersion ${network.cniVersion}; ` +
          "CHECK needs 0.4.0 or later",
      );
    }
    if (network.disableCheck) return;
    assertRuntimeConfig(runtime);
    const given = inVersionOf(network, prevResult);
    for (const plugin of network.plugins) {
      const result = plugin.type === "bridge" ? withoutBridgeAddress(given) : given;
      await this.#call({ command: "CHECK", network, plugin, runtime, signal }, result);
    }
  }

  /**
   * CHECK, and what its failure means: a plugin that is missing or busy, or that does not
   * understand the request, has not checked the attachment.
   */
  async check(
    network: NetworkList,
    runtime: RuntimeConfig,
    prevResult: CniResult,
    signal: AbortSignal,
  ): Promise<Finding> {
    if (network.disableCheck || !atLeast(network.cniVersion, "0.4.0")) {
      return { state: "uncheckable" };
    }
    try {
      await this.runCheck(network, runtime, prevResult, signal);
      return { state: "intact" };
    } catch (error) {
      const cause = errorMessage(error);
      const { code } = error as { readonly code?: unknown };
      // A plugin that delegates to a missing one answers like one that found a fault.
      const looked = typeof code === "number" && !NOT_LOOKED.includes(code) &&
        this.missingPlugins(network).length === 0;
      return { state: looked ? "lost" : "unknown", cause };
    }
  }

  missingPlugins(network: NetworkList): string[] {
    return [...pluginTypes(network)].filter((type) => !this.#plugins.has(type));
  }

  async gc(
    network: NetworkList,
    { valid, signal }: { readonly valid: readonly ValidAttachment[]; readonly signal: AbortSignal },
  ): Promise<boolean> {
    if (network.disableGC || !atLeast(network.cniVersion, "1.1.0")) return false;
    const more = { "cni.dev/valid-attachments": valid, "cni.dev/attachments": valid };
    await all(
      network.plugins,
      (plugin) => this.#call({ command: "GC", network, plugin, signal }, undefined, more),
    );
    return true;
  }

  /**
   * Rejects if a plugin says that it cannot serve an ADD now. Versions before 1.1.0 have no such
   * query.
   */
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
      env: environment({ command, runtime }),
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

/** Makes every call, one after the other; rejects at the end with all failures. */
async function all<T>(items: readonly T[], call: (item: T) => Promise<unknown>): Promise<void> {
  const errors: Error[] = [];
  for (const item of items) {
    try {
      await call(item);
    } catch (error) {
      errors.push(error instanceof Error ? error : new Error(String(error)));
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) {
    throw new AggregateError(errors, shortened(errors.map(({ message }) => message).join("; ")));
  }
}

/**
 * A bridge has the lowest hardware address of its ports, so its address changes whenever a pod
 * comes or goes; the plugin `bridge` compares it with that of the ADD and would report other pods
 * as damaged. It does not compare what the result leaves out.
 */
function withoutBridgeAddress(result: CniResult | undefined): CniResult | undefined {
  const [bridge, ...others] = (result?.interfaces ?? []) as Record<string, unknown>[];
  if (!result || !bridge || bridge.sandbox) return result;
  const { mac: _, ...rest } = bridge;
  return { ...result, interfaces: [rest, ...others] };
}
