/** CIDRs and ranges of addresses as texts. */
import { BITS, type Family, familyOf, ipNumber, type IpRange } from "./ip_range.ts";

export interface Cidr {
  readonly range: IpRange;
  readonly family: Family;
  readonly prefix: number;
}

export function parseCidr(given: string): Cidr | undefined {
  const [, address, length] = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(given) ?? [];
  const value = address === undefined ? undefined : ipNumber(address);
  if (value === undefined) return undefined;
  const family = familyOf(given);
  const prefix = Number(length);
  const hostBits = BigInt(BITS[family] - prefix);
  if (hostBits < 0n) return undefined;
  const first = value >> hostBits << hostBits;
  return { range: { first, last: first + (1n << hostBits) - 1n }, family, prefix };
}

/** The addresses that a text stands for: one, `FIRST-LAST`, or a CIDR. */
export function rangeOf(given: string): IpRange | undefined {
  if (given.includes("/")) return parseCidr(given)?.range;
  const [from, to = from, ...more] = given.split("-").map((each) => each.trim());
  if (more.length > 0 || familyOf(from!) !== familyOf(to!)) return undefined;
  const [first, last] = [ipNumber(from!), ipNumber(to!)];
  return first === undefined || last === undefined ? undefined : { first, last };
}

/** Whether a text can stand as a pool's subnet. */
export function isSubnet(given: string): boolean {
  return parseCidr(given) !== undefined;
}

/** Whether a text can stand among a pool's ranges. */
export function isRange(given: string): boolean {
  return rangeOf(given) !== undefined;
}

export function subnetRange(subnet: string): IpRange {
  return parseCidr(subnet)!.range;
}

/**
 * The addresses of a subnet that interfaces can have: not those of the network and for broadcasts, but
 * both of a /31 (RFC 3021); not the anycast address of routers (RFC 4291, 2.6.1), but both of a /127
 * (RFC 6164).
 */
export function hostRange(subnet: string): IpRange {
  const { range, family, prefix } = parseCidr(subnet)!;
  if (prefix >= BITS[family] - 1) return range;
  return { first: range.first + 1n, last: family === 4 ? range.last - 1n : range.last };
}
