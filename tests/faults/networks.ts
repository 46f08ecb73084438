import { NETWORK_API } from "../../mod/networks/network_object.ts";
import type { NetworkName } from "./schedule.ts";

/** The bridge of the network `bridge`, which its plugin makes and leaves. */
export const BRIDGE = "br-faults";

/** The device of another driver that some claims have too. */
export const OTHER = { driver: "other.example", device: "gpu-0" } as const;

/** Where host-local keeps the addresses that it has given out. */
export const LEASES = "/var/lib/cni/networks";
/** How many addresses the network `scarce` has. */
export const SCARCE = 3;

const pool = (n: number, more = {}) => ({
  type: "host-local",
  ranges: [[{ subnet: `10.10.${n}.0/24`, ...more }]],
});

/** The CNI configurations of the runs, one address range each. */
export const CONFIGS: Readonly<
  Record<Exclude<NetworkName, "addressed">, Record<string, unknown>>
> = {
  macvlan: list("1.0.0", "macvlan", [{ type: "macvlan", master: "eth0", ipam: pool(1) }]),
  bridge: list("1.0.0", "bridge", [{ type: "bridge", bridge: BRIDGE, ipam: pool(2) }]),
  ptp: list("0.4.0", "ptp", [{ type: "ptp", ipam: pool(3) }]),
  old: list("0.3.1", "old", [{ type: "macvlan", master: "eth0", ipam: pool(4) }]),
  chain: list("1.0.0", "chain", [
    { type: "macvlan", master: "eth0", ipam: pool(5) },
    { type: "tuning", mtu: 1400 },
  ]),
  current: list("1.1.0", "current", [{ type: "macvlan", master: "eth0", ipam: pool(6) }]),
  scarce: list("1.0.0", "scarce", [{
    type: "macvlan",
    master: "eth0",
    ipam: pool(7, { rangeStart: "10.10.7.10", rangeEnd: `10.10.7.${9 + SCARCE}` }),
  }]),
};

/** Where the API server serves Networks. */
export const NETWORKS_PATH = `/apis/${NETWORK_API}/networks`;

/** The Network of the cluster, and all its addresses. */
export const ADDRESSED = {
  name: "lan",
  addresses: Array.from({ length: 64 }, (_, i) => `10.10.8.${10 + i}`),
  object: {
    apiVersion: NETWORK_API,
    kind: "Network",
    metadata: { name: "lan", uid: "uid-lan", generation: 1 },
    spec: {
      config: { cniVersion: "1.0.0", type: "macvlan", master: "eth0" },
      addresses: { pools: [{ subnet: "10.10.8.0/24", ranges: ["10.10.8.10-10.10.8.73"] }] },
    },
  },
} as const;

/** The parameters of a claim that wants a network under the name of an interface. */
export function parametersOf(network: NetworkName, ifName: string): Record<string, unknown> {
  if (network !== "addressed") return { interface: ifName, config: CONFIGS[network] };
  const { apiVersion, kind, metadata } = ADDRESSED.object;
  return { apiVersion, kind, interfaceName: ifName, networkName: metadata.name };
}

/** Programs that others call as their IPAM plugin. */
export const IPAM_PROGRAMS: readonly string[] = ["host-local", "static"];
/** The programs that they need. */
export const PROGRAMS = ["macvlan", "bridge", "ptp", "tuning", ...IPAM_PROGRAMS];

function list(cniVersion: string, name: string, plugins: Record<string, unknown>[]) {
  return { cniVersion, name, plugins };
}
