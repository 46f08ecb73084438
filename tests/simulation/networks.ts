import { attachmentName } from "./network.ts";

/** The networks that claims ask for, by name. */
export const NETWORKS = {
  plain: {
    cniVersion: "1.0.0",
    plugins: [{ type: "macvlan", master: "eth0", ipam: { type: "host-local" } }],
  },
  bridged: {
    cniVersion: "1.1.0",
    plugins: [{ type: "bridge", bridge: "br0", ipam: { type: "host-local" } }, { type: "tuning" }],
  },
  old: {
    cniVersion: "0.3.1",
    plugins: [{ type: "macvlan", master: "eth0", ipam: { type: "dhcp" } }],
  },
  tap: { cniVersion: "1.0.0", plugins: [{ type: "tap", ipam: { type: "host-local" } }] },
  /** Its CHECK fails for what its ADD has made. */
  unchecked: {
    cniVersion: "1.0.0",
    plugins: [{ type: "macvlan", master: "eth0" }, { type: "vrf" }],
  },
  /** The allocated interface itself. */
  exclusive: { cniVersion: "1.0.0", plugins: [{ type: "host-device" }] },
} as const;
export type NetworkName = keyof typeof NETWORKS;

/** Which interface of the node a device stands for. */
export const DEVICES: Readonly<Record<string, string | undefined>> = {
  cni: undefined,
  eth1: "eth1",
  eth2: "eth2",
};

/** As plugins know an attachment. */
export function nameOf(
  { name }: { readonly name: string },
  { containerID, ifName }: { readonly containerID: string; readonly ifName: string },
): string {
  return attachmentName(name, containerID, ifName);
}
