import { matchesAny } from "../claim/name_patterns.ts";
import type { Link } from "./link.ts";

/** Which interfaces are devices: patterns of names with `*` and `?`. */
export interface InterfacePatterns {
  /** Where given, these and no others, whatever their kind; never lo. */
  readonly include?: readonly string[];
  /** Never these. */
  readonly exclude?: readonly string[];
}

/** What can carry attachments. */
const CARRIERS = ["physical", "bond", "bridge", "vlan", "veth", "virtual"];

/** Interfaces that cluster networks and container engines make for themselves. */
export const OTHERS_INTERFACES: readonly string[] = [
  "antrea*",
  "br-????????????",
  "br-ex",
  "br-int",
  "br-tun",
  "cali*",
  "cbr*",
  "cilium*",
  "cni*",
  "docker*",
  "flannel*",
  "genev_sys_*",
  "gre_sys*",
  "ifb*",
  "kube-*",
  "lxc*",
  "lxd*",
  "nerdctl*",
  "nodelocaldns*",
  "ovn*",
  "ovs-*",
  "podman*",
  "tunl*",
  "vethwe*",
  "virbr*",
  "vxlan*",
  "weave*",
  "wireguard*",
];

/** Whether an interface with that name could be a device if it existed: nobody else uses the name. */
export function isOpenName(name: string, { include, exclude = [] }: InterfacePatterns): boolean {
  if (name === "lo" || matchesAny(name, exclude)) return false;
  return include ? matchesAny(name, include) : !matchesAny(name, OTHERS_INTERFACES);
}

/** The links that become devices. */
export function offeredLinks(
  links: readonly Link[],
  { include, exclude = [] }: InterfacePatterns,
): Link[] {
  const byIndex = new Map(links.map((link) => [link.index, link]));
  const usual = (link: Link) =>
    CARRIERS.includes(link.type) && !link.port && !matchesAny(link.name, OTHERS_INTERFACES) &&
    // The other end of a pod's interface has its peer in the pod's namespace.
    (link.type !== "veth" || byIndex.get(link.peer)?.peer === link.index);
  return links.filter((link) =>
    link.type !== "loopback" && !matchesAny(link.name, exclude) &&
    (include ? matchesAny(link.name, include) : usual(link))
  );
}
