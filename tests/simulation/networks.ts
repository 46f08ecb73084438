import { parseAddresses } from "../../mod/addresses/parse_addresses.ts";
import type { NetworkList } from "../../mod/claim/network_list.ts";

/** The networks that claims ask for, by name. */
const LOCAL = { type: "host-local" };
export const NETWORKS = {
  plain: { cniVersion: "1.0.0", plugins: [{ type: "macvlan", master: "eth0", ipam: LOCAL }] },
  bridged: {
    cniVersion: "1.1.0",
    plugins: [{ type: "bridge", bridge: "br0", ipam: LOCAL }, { type: "tuning" }],
  },
  old: {
    cniVersion: "0.3.1",
    plugins: [{ type: "macvlan", master: "eth0", ipam: { type: "dhcp" } }],
  },
  tap: { cniVersion: "1.0.0", plugins: [{ type: "tap", ipam: LOCAL }] },
  /** The allocated interface itself. */
  exclusive: { cniVersion: "1.0.0", plugins: [{ type: "host-device", ipam: LOCAL }] },
  /** Its CHECK fails for what its ADD has made. */
  unchecked: {
    cniVersion: "1.0.0",
    plugins: [{ type: "macvlan", master: "eth0" }, { type: "vrf" }],
  },
  /** An IPv6 address that ends as an IPv4 one is written. */
  mapped: {
    cniVersion: "1.0.0",
    plugins: [{ type: "macvlan", master: "eth0", ipam: { ...LOCAL, mapped: true } }],
  },
  /** Its result is more than the API server takes. */
  verbose: {
    cniVersion: "1.0.0",
    plugins: [{ type: "macvlan", master: "eth0", ipam: LOCAL, verbose: 2_000 }],
  },
  /** Until the end, its DEL fails once the pod has ended. */
  clinging: { cniVersion: "1.0.0", plugins: [{ type: "clinging" }] },
  /** Its addresses are those of the cluster. */
  addressed: { cniVersion: "1.0.0", plugins: [{ type: "macvlan", master: "eth0" }] },
  /** Neither its ADD nor its DEL ever succeeds. */
  broken: { cniVersion: "1.0.0", plugins: [{ type: "broken" }] },
} as const;
export type NetworkName = keyof typeof NETWORKS;

/** The Network of the cluster that has addresses. */
export const ADDRESSED = "lan";

/** Its pools: one family with `size` addresses, and one with more. */
export function addressedNetwork(size: number): NetworkList {
  return {
    ...NETWORKS.addressed,
    name: ADDRESSED,
    addresses: parseAddresses({
      pools: [
        {
          subnet: "10.38.0.0/24",
          gateway: "10.38.0.1",
          ranges: [`10.38.0.10-10.38.0.${9 + size}`],
        },
        { subnet: "fd00:38::/64" },
      ],
    }, "addresses"),
  };
}

/** Which interface of the node a device stands for. */
export const DEVICES: Readonly<Record<string, string | undefined>> = {
  cni: undefined,
  eth1: "eth1",
  eth2: "eth2",
};
