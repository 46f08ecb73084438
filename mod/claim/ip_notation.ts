import ipaddr from "ipaddr.js";

/**
 * Reads an IP address as Go, and therefore plugins and the API server, read it; undefined for
 * anything else. An address with a zone is refused, because it is valid on one machine only. An
 * IPv4-mapped address (`::ffff:1.2.3.4`) stays an IPv6 address.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseIp } from "./ip_notation.ts";
 *
 * assert.equal(parseIp("::ffff:1.2.3.4")?.kind(), "ipv6");
 * assert.equal(parseIp("010.0.0.1"), undefined);
 * ```
 */
export function parseIp(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (!text.includes(":") || text.includes("%")) return undefined;
  const groups = withoutDots(text);
  return groups !== undefined && ipaddr.IPv6.isValid(groups)
    ? ipaddr.IPv6.parse(groups)
    : undefined;
}

/**
 * An IPv6 address whose last 32 bits may be in the notation of IPv4, in groups alone. The library
 * would read `::1.2.3.4` as `::ffff:1.2.3.4`, and take octal and hexadecimal numbers between dots.
 */
function withoutDots(text: string): string | undefined {
  if (!text.includes(".")) return text;
  const at = text.lastIndexOf(":") + 1;
  const tail = text.slice(at);
  if (!ipaddr.IPv4.isValidFourPartDecimal(tail)) return undefined;
  const [a, b, c, d] = ipaddr.IPv4.parse(tail).toByteArray() as [number, number, number, number];
  return `${text.slice(0, at)}${(a << 8 | b).toString(16)}:${(c << 8 | d).toString(16)}`;
}
