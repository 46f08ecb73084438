import { parseIp } from "./ip_notation.ts";

/** Addresses of one family, both ends included. */
export interface AddressRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * Reads an IP address as a range of one; undefined for anything else. An IPv4-mapped IPv6 address
 * counts as IPv4, as it does for plugins.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseAddress } from "./addresses.ts";
 *
 * assert.deepEqual(parseAddress("0.0.1.2"), { family: 4, first: 258n, last: 258n });
 * assert.equal(parseAddress("0.0.1"), undefined);
 * ```
 */
export function parseAddress(text: string): AddressRange | undefined {
  const ip = parseIp(text);
  if (!ip) return undefined;
  const plain = "isIPv4MappedAddress" in ip && ip.isIPv4MappedAddress() ? ip.toIPv4Address() : ip;
  const bytes = plain.toByteArray();
  const number = bytes.reduce((sum, byte) => sum << 8n | BigInt(byte), 0n);
  return { family: bytes.length === 4 ? 4 : 6, first: number, last: number };
}

/**
 * Reads a CIDR such as 10.0.0.0/8 as a range; host bits may be set. Undefined for anything else.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { overlap, parseAddress, parseNetwork } from "./addresses.ts";
 *
 * assert.ok(overlap(parseNetwork("10.0.0.0/8")!, parseAddress("10.1.2.3")!));
 * assert.equal(parseNetwork("10.0.0.0/33"), undefined);
 * ```
 */
export function parseNetwork(text: string): AddressRange | undefined {
  const [, ip = "", digits = ""] = text.match(/^([^/]+)\/([0-9]{1,3})$/) ?? [];
  const address = parseAddress(ip);
  // IPv4 in the notation of IPv6 would count its bits from elsewhere.
  if (!address || address.family === 4 && ip.includes(":")) return undefined;
  const hostBits = (address.family === 4 ? 32 : 128) - Number(digits);
  if (hostBits < 0) return undefined;
  const host = (1n << BigInt(hostBits)) - 1n;
  return { family: address.family, first: address.first & ~host, last: address.first | host };
}

/** Whether two ranges have an address in common. */
export function overlap(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** Whether all addresses lie in one of the networks. */
export function within(addresses: AddressRange, networks: readonly AddressRange[]): boolean {
  return networks.some(({ family, first, last }) =>
    family === addresses.family && first <= addresses.first && addresses.last <= last
  );
}

/** Reads CIDRs that are known to be valid. */
export function networks(...prefixes: readonly string[]): AddressRange[] {
  return prefixes.map((prefix) => parseNetwork(prefix)!);
}
