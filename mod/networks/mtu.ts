import { FieldError, show } from "../claim/field.ts";
import type { NetworkList } from "../claim/network_list.ts";

/** The reference plugins that set an interface's MTU. */
const SET_MTU = ["macvlan", "ipvlan", "vlan", "bridge", "ptp", "tap", "tuning"];

/**
 * A network whose first plugin that takes an MTU is given this one.
 *
 * @param path where the MTU stands, for errors
 * @throws FieldError if there is no such plugin, or it has an MTU of its own
 */
export function withMtu(
  network: NetworkList,
  { mtu, path }: { readonly mtu: number; readonly path: string },
): NetworkList {
  const { plugins } = network;
  const at = plugins.findIndex(({ type }) => SET_MTU.includes(type));
  const plugin = plugins[at];
  if (!plugin) {
    const types = plugins.map(({ type }) => show(type)).join(", ");
    throw new FieldError(
      path,
      `none of the plugins ${types} is known to take an MTU: add the plugin "tuning" to the list, ` +
        "or set the MTU in the plugin's own configuration",
    );
  }
  if (plugin.mtu !== undefined) {
    const problem = `the plugin ${show(plugin.type)} has an MTU of its own: give only one`;
    throw new FieldError(path, problem);
  }
  return { ...network, plugins: plugins.with(at, { ...plugin, mtu }) };
}
