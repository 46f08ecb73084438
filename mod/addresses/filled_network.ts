/** Pure: how the plugins of a network learn the addresses that were taken for an attachment. */
import type { RuntimeConfig } from "../agent/model.ts";
import type { NetworkList, PluginConfig } from "../claim/network_list.ts";
import { canonicalAddress } from "./ip_range.ts";
import { type NetworkAddresses, poolOf } from "./pools.ts";

/** A network that takes its addresses from the cluster. */
export type AddressedNetwork = NetworkList & { readonly addresses: NetworkAddresses };

/** What plugins are given. */
export interface Filled {
  readonly network: NetworkList;
  readonly runtime: RuntimeConfig;
}

/** Whether a network takes its addresses from the cluster. */
export function hasAddresses(network: NetworkList): network is AddressedNetwork {
  return network.addresses !== undefined;
}

/**
 * The network and the arguments with these addresses: as the capability `ips` where the first plugin
 * declares it, else in an IPAM configuration of the type `static` for that plugin.
 *
 * @param addresses without their prefix lengths
 */
export function filled(
  network: AddressedNetwork,
  { runtime, addresses }: {
    readonly runtime: RuntimeConfig;
    readonly addresses: readonly string[];
  },
): Filled {
  const { ips: _, ...capabilityArgs } = runtime.capabilityArgs;
  const [first] = network.plugins;
  if (!takesIps(first!)) {
    return { network: withIpam(network, addresses), runtime: { ...runtime, capabilityArgs } };
  }
  const ips = addresses.map((address) => withPrefix(address, network.addresses));
  return {
    network: asPlugins(network),
    runtime: {
      ...runtime,
      capabilityArgs: ips.length > 0 ? { ...capabilityArgs, ips } : capabilityArgs,
    },
  };
}

/** The network as its plugins see it, with these addresses in its IPAM configuration if it takes them there. */
export function withIpam(network: AddressedNetwork, addresses: readonly string[]): NetworkList {
  const list = asPlugins(network);
  const [first, ...others] = list.plugins;
  if (takesIps(first!)) return list;
  const { routes, dns } = network.addresses;
  const ipam = {
    type: "static",
    addresses: addresses.map((address) => {
      const { gateway } = poolOf(network.addresses, address) ?? {};
      return { address: withPrefix(address, network.addresses), ...(gateway && { gateway }) };
    }),
    ...(routes && { routes }),
    ...(dns && { dns }),
  };
  return { ...list, plugins: [{ ...first!, ipam }, ...others] };
}

/**
 * The addresses that the claim names, in canonical notation and without their prefix lengths.
 *
 * @throws Error for what is no address
 */
export function fixedIn({ capabilityArgs: { ips } }: RuntimeConfig): string[] {
  if (ips === undefined) return [];
  return [ips].flat().map((each) => {
    const address = canonicalAddress(String(each).split("/")[0]!);
    if (address !== undefined) return address;
    throw new Error(`${JSON.stringify(each)} in the capability ips is not an IP address`);
  });
}

function asPlugins({ addresses: _, ...network }: AddressedNetwork): NetworkList {
  return network;
}

function takesIps({ capabilities }: PluginConfig): boolean {
  return capabilities?.ips === true;
}

function withPrefix(address: string, pools: NetworkAddresses): string {
  const { subnet } = poolOf(pools, address) ?? {};
  return `${address}/${subnet?.split("/")[1] ?? (address.includes(":") ? 128 : 32)}`;
}
