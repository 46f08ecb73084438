import ipaddr from "ipaddr.js";

/**
 * An IP address in the usual notation, as Go and therefore plugins and the API server read it;
 * undefined for anything else. An address with a zone makes sense on one machine alone and is not
 * one; IPv4 in the notation of IPv6 (`::ffff:1.2.3.4`) stays an IPv6 address.
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
