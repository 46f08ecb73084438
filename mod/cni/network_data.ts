import ipaddr from "ipaddr.js";
import type { CniResult, NetworkData } from "../agent/model.ts";
import { toCurrent } from "./result.ts";

/** What the API server takes in `networkData.ips`. */
const IPS_LIMIT = 16;
/** And in `interfaceName` and `hardwareAddress`, in bytes. */
const NAME_LIMIT = 256;
const MAC_LIMIT = 128;

interface Interface {
  readonly name?: unknown;
  readonly mac?: unknown;
  readonly sandbox?: unknown;
}

interface Ip {
  readonly address?: unknown;
  readonly interface?: unknown;
}

/**
 * What a result says of the pod's interface, as `status.devices[].networkData` has it.
 *
 * The interface is the one that was asked for, or else the only one in the sandbox, or else the last
 * there. Its addresses are those that point to it and those that point nowhere.
 */
export function networkData(
  result: CniResult,
  { ifName }: { readonly ifName: string },
): NetworkData {
  const { interfaces, ips } = toCurrent(result);
  const all = (Array.isArray(interfaces) ? interfaces : []) as Interface[];
  const inSandbox = all.map((link, index) => ({ link, index })).filter(({ link }) => link?.sandbox);
  const chosen = inSandbox.find(({ link }) => link.name === ifName) ?? inSandbox.at(-1);
  const name = chosen?.link.name;
  const mac = chosen?.link.mac;
  return {
    interfaceName: fits(name, NAME_LIMIT) ? name : ifName,
    ...(fits(mac, MAC_LIMIT) && { hardwareAddress: mac.toLowerCase() }),
    ips: addresses((Array.isArray(ips) ? ips : []) as Ip[], { all, chosen: chosen?.index }),
  };
}

function fits(value: unknown, most: number): value is string {
  if (typeof value !== "string" || value === "") return false;
  return new TextEncoder().encode(value.toLowerCase()).length <= most;
}

function addresses(
  ips: readonly Ip[],
  { all, chosen }: { readonly all: readonly Interface[]; readonly chosen: number | undefined },
): string[] {
  const found = new Set<string>();
  for (const { address, interface: index } of ips) {
    // An index that leads nowhere says as little as none.
    const points = typeof index === "number" && index >= 0 && index < all.length;
    if (points && index !== chosen) continue;
    const canonical = canonicalCidr(address);
    if (canonical) found.add(canonical);
  }
  return [...found].slice(0, IPS_LIMIT);
}

/**
 * An address with its prefix length as Kubernetes writes it: IPv6 compressed and in lower case, an
 * IPv4 address in IPv6's clothes as IPv4. Undefined when it is none.
 */
function canonicalCidr(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const [text = "", prefix = "", ...more] = value.split("/");
  if (more.length > 0 || !/^\d{1,3}$/.test(prefix)) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    return Number(prefix) <= 32 ? `${ipaddr.IPv4.parse(text)}/${Number(prefix)}` : undefined;
  }
  if (!ipaddr.IPv6.isValid(text) || text.includes("%") || Number(prefix) > 128) return undefined;
  const address = ipaddr.IPv6.parse(text);
  if (address.isIPv4MappedAddress()) {
    return Number(prefix) < 96 ? undefined : `${address.toIPv4Address()}/${Number(prefix) - 96}`;
  }
  return `${address.toRFC5952String()}/${Number(prefix)}`;
}
