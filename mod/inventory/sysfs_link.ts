import type { Link } from "./link.ts";

/** The files of a link in sysfs that are read (kernel: Documentation/ABI/testing/sysfs-class-net). */
export const LINK_FILES = [
  "address",
  "flags",
  "ifindex",
  "iflink",
  "mtu",
  "operstate",
  "speed",
  "type",
  "uevent",
] as const;

/** What sysfs says of one link. */
export interface SysfsLink {
  readonly name: string;
  /** The folder's real path: it leads through the hardware. */
  readonly path: string;
  /** The names in the folder. */
  readonly entries: readonly string[];
  /**
   * By name, the PCI function's `numa_node`, and as `master` the `uevent` of the link that it is a part
   * of; what could not be read (the speed of a link that is down) is absent.
   */
  readonly files: Readonly<Record<string, string>>;
}

/** linux/if_arp.h and linux/if.h */
const LOOPBACK = 772;
const ETHERNET = 1;
const INFINIBAND = 32;
const IFF_UP = 1;

const PCI = /^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** The folder of the PCI function that a link's path leads through last. */
export function pciFolder(path: string): string | undefined {
  const steps = path.split("/");
  const last = steps.findLastIndex((step) => PCI.test(step));
  return last < 0 ? undefined : steps.slice(0, last + 1).join("/");
}

/** Undefined for a link that went away while it was read. */
export function linkOf({ name, path, entries, files }: SysfsLink): Link | undefined {
  const number = (file: string) => Number(files[file] ?? NaN);
  if (!(number("ifindex") > 0) || !(number("mtu") >= 0)) return undefined;
  const virtual = path.includes("/devices/virtual/");
  const type = typeOf({ name, path, entries, files }, virtual);
  const mac = files.address?.toLowerCase();
  const pci = pciFolder(path);
  const numa = Number(files.numa_node ?? -1);
  const root = path.split("/").find((step) => /^pci[0-9a-f]{4,}:[0-9a-f]{2}$/.test(step));
  return {
    name,
    index: number("ifindex"),
    type,
    peer: number("iflink"),
    up: isUp(type, files),
    mtu: number("mtu"),
    ...(mac && /[1-9a-f]/.test(mac) && { mac }),
    ...(number("speed") > 0 && { speed: number("speed") }),
    virtual,
    port: entries.includes("master") && !/^DEVTYPE=vrf$/m.test(files.master ?? ""),
    ...(numa >= 0 && { numaNode: numa }),
    ...(pci && { pciBusId: pci.split("/").at(-1)! }),
    ...(pci && root && { pcieRoot: root }),
  };
}

function typeOf({ entries, files }: SysfsLink, virtual: boolean): string {
  const arp = Number(files.type);
  if (arp === LOOPBACK) return "loopback";
  if (entries.includes("tun_flags")) return "tun";
  if (arp !== ETHERNET && arp !== INFINIBAND) return "tunnel";
  const named = files.uevent?.match(/^DEVTYPE=(.+)$/m)?.[1];
  if (named) return named;
  if (!virtual) return "physical";
  // Such as macvlan, for which not every kernel has a word here.
  if (entries.some((entry) => entry.startsWith("lower_"))) return "stacked";
  // The kernel has no word for veth: a veth is recognized because it names a link that is not below it.
  return files.iflink === files.ifindex ? "virtual" : "veth";
}

function isUp(type: string, { flags, operstate }: Readonly<Record<string, string>>): boolean {
  if ((Number(flags) & IFF_UP) === 0) return false;
  // A bridge has no carrier until it has a port, which attaching to it gives it.
  return type === "bridge" || !["down", "lowerlayerdown", "notpresent"].includes(operstate ?? "");
}
