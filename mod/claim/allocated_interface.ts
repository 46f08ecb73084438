import { FieldError, join, show } from "./field.ts";
import type { NetworkList, PluginConfig } from "./network_list.ts";

/** What a device that was allocated stands for on its node. */
export interface DeviceInterface {
  /** The device, as the allocation names it. */
  readonly device: string;
  /** The host interface behind it; undefined for the device `cni`. */
  readonly interfaceName?: string;
  /** `physical`, `bond`, `bridge`, `vlan`, … */
  readonly type?: string;
}

/** Plugins that make an interface on top of their `master`, and choose one where it is left out. */
const ON_A_MASTER = ["macvlan", "ipvlan", "vlan", "ipoib", "macvtap"];

/** Other ways in which host-device is told an interface; which one that is cannot be seen here. */
const HOST_DEVICE_WAYS = ["hwaddr", "kernelpath", "pciBusID"];

/**
 * Joins the scheduler's choice with the CNI configuration: the allocated interface fills in a
 * `master`, `device` (host-device) or `bridge` (on a bridge) that was left out, and one that names
 * another interface is refused, for the scheduler's books would be wrong.
 *
 * @param paths where each plugin's configuration stands, for errors
 * @throws FieldError
 */
export function useInterface(
  network: NetworkList,
  { allocated, paths }: { readonly allocated: DeviceInterface; readonly paths: readonly string[] },
): NetworkList {
  const { interfaceName } = allocated;
  if (interfaceName === undefined) return network;
  const plugins = network.plugins.map((plugin, i): PluginConfig => {
    const path = paths[i]!;
    const key = keyOf(plugin, allocated);
    if (key === undefined) return plugin;
    if (plugin.type === "host-device") refuseOtherWays(plugin, { allocated, path });
    const given = plugin[key];
    if (given === undefined || given === null || given === "") {
      return fills(plugin, key) ? { ...plugin, [key]: interfaceName } : plugin;
    }
    if (given === interfaceName) return plugin;
    throw new FieldError(
      join(path, key),
      `${show(given)} is not the interface of the allocated device ${allocated.device}, which is ` +
        `${show(interfaceName)}: leave ${key} out, or select the device of ${show(given)}`,
    );
  });
  return { ...network, plugins };
}

/** The key under which a plugin is told its host interface. */
function keyOf(plugin: PluginConfig, { type }: DeviceInterface): string | undefined {
  if (plugin.type === "host-device") return "device";
  if (plugin.type === "bridge") return type === "bridge" ? "bridge" : undefined;
  // The master is then an interface that a plugin before this one made in the pod.
  return plugin.linkInContainer === true ? undefined : "master";
}

/** A `master` of plugins that are not known here is compared and never added: they may not take it. */
function fills({ type }: PluginConfig, key: string): boolean {
  return key !== "master" || ON_A_MASTER.includes(type);
}

function refuseOtherWays(
  plugin: PluginConfig,
  { allocated, path }: { readonly allocated: DeviceInterface; readonly path: string },
): void {
  const way = HOST_DEVICE_WAYS.find((key) => plugin[key] !== undefined && plugin[key] !== "");
  if (way === undefined) return;
  throw new FieldError(
    join(path, way),
    `must be left out: the allocated device ${allocated.device} already determines the interface, ` +
      show(allocated.interfaceName),
  );
}
