import type { CniResult, NetworkData } from "../agent/model.ts";
import { parseIp } from "../claim/ip_notation.ts";
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
 * Reads the pod's interface from a result, for `status.devices[].networkData` (KEP-4817).
 *
 * The interface is the requested one, or else the last one in the sandbox. Its addresses, 16 at
 * most, are those that point to it and those that point to no interface.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { networkData } from "./network_data.ts";
 *
 * const result = {
 *   cniVersion: "1.0.0",
 *   interfaces: [{ name: "net1", mac: "02:00:5E:10:00:01", sandbox: "/run/netns/a" }],
 *   ips: [{ address: "10.0.0.2/24", interface: 0 }],
 * };
 * assert.deepEqual(networkData(result, { ifName: "net1" }), {
 *   interfaceName: "net1",
 *   hardwareAddress: "02:00:5e:10:00:01",
 *   ips: ["10.0.0.2/24"],
 * });
 * ```
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
 * An address with its prefix length as Kubernetes writes it: IPv6 compressed and in lower case,
 * IPv4 in the notation of IPv6 (`::ffff:1.2.3.4`) as IPv4. Undefined for anything else.
 */
function canonicalCidr(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const [text = "", digits = "", ...more] = value.split("/");
  const ip = parseIp(text);
  if (!ip || more.length > 0 || !/^\d{1,3}$/.test(digits)) return undefined;
  const prefix = Number(digits);
  if (!("isIPv4MappedAddress" in ip)) return prefix <= 32 ? `${ip}/${prefix}` : undefined;
  if (prefix > 128) return undefined;
  if (!ip.isIPv4MappedAddress()) return `${ip.toRFC5952String()}/${prefix}`;
  return prefix < 96 ? undefined : `${ip.toIPv4Address()}/${prefix - 96}`;
}
