import ipaddr from "ipaddr.js";
import { parseIp } from "../claim/ip_notation.ts";

/** IP addresses from the first to the last, both included, as numbers. */
export interface IpRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** 4 or 6: IPv4 or IPv6. */
export type Family = 4 | 6;

/** The length of the family's addresses, in bits. */
export const BITS = { 4: 32, 6: 128 } as const;

/** The family of an address that is written in either notation. */
export function familyOf(address: string): Family {
  return address.includes(":") ? 6 : 4;
}

/**
 * The address as a number; undefined if the text is not an address. What it takes, `parseIp` takes: but
 * a list of 100,000 addresses is read with it, so that it must take microseconds.
 */
export function ipNumber(text: string): bigint | undefined {
  if (!text.includes(":")) return ipv4Number(text);
  return text.includes(".") ? slowNumber(text) : ipv6Number(text);
}

const IPV4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

function ipv4Number(text: string): bigint | undefined {
  const bytes = IPV4.exec(text)?.slice(1).map(Number);
  if (!bytes || bytes.some((byte) => byte > 255)) return undefined;
  return BigInt(bytes.reduce((value, byte) => value * 256 + byte, 0));
}

const GROUP = /^[0-9a-f]{1,4}$/i;
const GROUPS = 8;

/** An IPv6 address in groups alone (RFC 4291, 2.2). */
function ipv6Number(text: string): bigint | undefined {
  const [before, after, ...more] = text.split("::").map((part) =>
    part === "" ? [] : part.split(":")
  );
  const groups = [...before!, ...after ?? []];
  const zeros = GROUPS - groups.length;
  const fits = after ? zeros > 0 && more.length === 0 : zeros === 0;
  if (!fits || !groups.every((group) => GROUP.test(group))) return undefined;
  const all = [...before!, ...Array<string>(zeros).fill("0"), ...after ?? []];
  return BigInt(`0x${all.map((group) => group.padStart(4, "0")).join("")}`);
}

function slowNumber(text: string): bigint | undefined {
  const bytes = parseIp(text)?.toByteArray();
  return bytes && bytes.reduce((value, byte) => value << 8n | BigInt(byte), 0n);
}

/**
 * The one way in which an address is written here: IPv6 in lower case and as short as RFC 5952 has it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { canonicalAddress } from "./ip_range.ts";
 *
 * assert.equal(canonicalAddress("FD00:0::5"), "fd00::5");
 * assert.equal(canonicalAddress("10.0.0.0/8"), undefined);
 * ```
 */
export function canonicalAddress(text: string): string | undefined {
  const value = ipNumber(text);
  return value === undefined ? undefined : addressText(value, familyOf(text));
}

/** The address that a number stands for, in the canonical notation. */
export function addressText(value: bigint, family: Family): string {
  const bytes = Array.from(
    { length: BITS[family] / 8 },
    (_, i, shift = BITS[family] - 8 * (i + 1)) => Number(value >> BigInt(shift) & 255n),
  );
  return family === 4 ? bytes.join(".") : new ipaddr.IPv6(bytes).toRFC5952String();
}

/** How many addresses there are. */
export function sizeOf({ first, last }: IpRange): bigint {
  return last - first + 1n;
}

export function includes({ first, last }: IpRange, value: bigint): boolean {
  return first <= value && value <= last;
}

/** What is left of ranges without others, in ascending order; ranges that touch become one. */
export function without(ranges: readonly IpRange[], others: readonly IpRange[]): IpRange[] {
  const gaps = merged(others);
  let at = 0;
  return merged(ranges).flatMap(({ first, last }) => {
    const left: IpRange[] = [];
    let next = first;
    while (at < gaps.length && gaps[at]!.last < first) at++;
    for (let i = at; i < gaps.length && gaps[i]!.first <= last; i++) {
      const gap = gaps[i]!;
      if (next < gap.first) left.push({ first: next, last: gap.first - 1n });
      next = gap.last + 1n;
    }
    return next <= last ? [...left, { first: next, last }] : left;
  });
}

function merged(ranges: readonly IpRange[]): IpRange[] {
  const sorted = ranges.toSorted((a, b) => a.first < b.first ? -1 : a.first > b.first ? 1 : 0);
  const result: IpRange[] = [];
  for (const range of sorted) {
    const before = result.at(-1);
    if (before && range.first <= before.last + 1n) {
      const last = range.last > before.last ? range.last : before.last;
      result[result.length - 1] = { first: before.first, last };
    } else {
      result.push(range);
    }
  }
  return result;
}
