import { array, FieldError, identity, join, object, optional, show, text } from "../claim/field.ts";
import { parseCidr, rangeOf, subnetRange } from "./cidr.ts";
import { milliseconds } from "./duration.ts";
import { addressText, familyOf, includes, ipNumber, type IpRange } from "./ip_range.ts";
import {
  type AddressPool,
  type Dns,
  hostProblem,
  type NetworkAddresses,
  type Reserved,
  type Route,
  usable,
} from "./pools.ts";

/** As many as anyone has; each is compared with each. */
const MOST_POOLS = 64;
const MOST_RANGES = 256;
const MOST_RESERVED = 1_024;
/**
 * Reads `spec.addresses` of a Network.
 *
 * @param path the path of the value, for errors
 * @throws FieldError with the path of the first field that is invalid
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseAddresses } from "./parse_addresses.ts";
 *
 * const pools = [{ subnet: "10.38.0.0/24", gateway: "10.38.0.1" }];
 * assert.deepEqual(parseAddresses({ pools }, "spec.addresses"), { pools });
 * assert.throws(
 *   () => parseAddresses({ pools: [{ subnet: "10.38.0.5/24" }] }, "spec.addresses"),
 *   /pools\[0\]\.subnet: "10\.38\.0\.5\/24" has host bits set: write 10\.38\.0\.0\/24/,
 * );
 * ```
 */
export function parseAddresses(value: unknown, path: string): NetworkAddresses {
  const fields = object(value, path, ["pools", "routes", "dns", "reserved", "keepFor"]);
  const poolsAt = join(path, "pools");
  const pools = list(fields.pools, { path: poolsAt, most: MOST_POOLS, read: pool });
  if (pools.length === 0) throw new FieldError(poolsAt, "must have at least one pool");
  assertApart(pools, poolsAt);
  const routes = optionalList(fields.routes, { path: join(path, "routes"), read: route });
  const dns = optional(readDns, fields.dns, join(path, "dns"));
  const reservedAt = join(path, "reserved");
  const reserved = optionalList(fields.reserved, {
    path: reservedAt,
    most: MOST_RESERVED,
    read: reservation,
  });
  const keepFor = optional(duration, fields.keepFor, join(path, "keepFor"));
  const addresses = {
    pools,
    ...(routes && { routes }),
    ...(dns && { dns }),
    ...(reserved && { reserved }),
    ...(keepFor !== undefined && { keepFor }),
  };
  assertReserved(addresses, reservedAt);
  return addresses;
}

function pool(value: unknown, path: string): AddressPool {
  const fields = object(value, path, ["subnet", "ranges", "exclude", "gateway"]);
  const subnet = readSubnet(fields.subnet, join(path, "subnet"));
  const whole = { subnet, range: subnetRange(subnet) };
  const read = (each: unknown, at: string) => rangeIn(whole, each, at);
  const ranges = optionalList(fields.ranges, { path: join(path, "ranges"), read });
  const exclude = optionalList(fields.exclude, { path: join(path, "exclude"), read });
  const at = join(path, "gateway");
  const gateway = optional(readAddress, fields.gateway, at);
  if (gateway !== undefined) assertInside(gateway, subnet, at);
  if (ranges?.length === 0) {
    throw new FieldError(join(path, "ranges"), "must have at least one range");
  }
  const result = {
    subnet,
    ...(ranges && { ranges }),
    ...(exclude && { exclude }),
    ...(gateway !== undefined && { gateway }),
  };
  if (usable(result).length === 0) {
    throw new FieldError(path, `leaves no address of ${subnet} to give out`);
  }
  return result;
}

function readSubnet(value: unknown, path: string): string {
  const { range, family, prefix } = cidr(value, path);
  const canonical = `${addressText(range.first, family)}/${prefix}`;
  const given = ipNumber(String(value).split("/")[0]!)!;
  if (given === range.first) {
    assertUnicast(canonical, path);
    return canonical;
  }
  throw new FieldError(path, `${show(value)} has host bits set: write ${canonical}`);
}

/** Of these addresses no interface of a pod can have one. */
const NOT_OF_INTERFACES = {
  "0.0.0.0/8": "this host (RFC 1122, 3.2.1.3)",
  "127.0.0.0/8": "loopback",
  "224.0.0.0/4": "multicast",
  "255.255.255.255/32": "broadcast",
  "::/127": "loopback, or no address",
  "ff00::/8": "multicast",
} as const;

function assertUnicast(subnet: string, path: string): void {
  for (const [other, use] of Object.entries(NOT_OF_INTERFACES)) {
    if (!areOverlapping(subnet, other)) continue;
    throw new FieldError(
      path,
      `${subnet} overlaps with ${other}, which is for ${use}: name a subnet of unicast addresses`,
    );
  }
}

function cidr(value: unknown, path: string) {
  const given = text(value, path);
  const parsed = parseCidr(given);
  if (parsed) {
    assertNotMapped(parsed.range.first, { given, path });
    return parsed;
  }
  throw new FieldError(path, `${show(given)} is not a CIDR such as 10.38.0.0/24 or fd00:38::/64`);
}

/** A range of addresses in canonical notation, inside the subnet. */
function rangeIn(
  { subnet, range: whole }: { readonly subnet: string; readonly range: IpRange },
  value: unknown,
  path: string,
): string {
  const given = text(value, path);
  const range = rangeOf(given);
  if (!range) {
    const problem = `${show(given)} is not an address, FIRST-LAST or a CIDR`;
    throw new FieldError(path, problem);
  }
  const family = familyOf(given);
  if (range.first > range.last) {
    throw new FieldError(path, `${show(given)} ends before it begins`);
  }
  const isInside = includes(whole, range.first) && includes(whole, range.last);
  if (family !== familyOf(subnet) || !isInside) {
    throw new FieldError(path, `${show(given)} is not inside ${subnet}`);
  }
  const [first, last] = [addressText(range.first, family), addressText(range.last, family)];
  return first === last ? first : `${first}-${last}`;
}

function assertApart(pools: readonly AddressPool[], path: string): void {
  for (const [i, { subnet }] of pools.entries()) {
    const other = pools.slice(0, i).find((each) => areOverlapping(each.subnet, subnet));
    if (!other) continue;
    const at = `${path}[${i}].subnet`;
    throw new FieldError(
      at,
      `${subnet} overlaps with ${other.subnet}: give each address to one pool`,
    );
  }
}

function areOverlapping(subnet: string, other: string): boolean {
  const [a, b] = [subnetRange(subnet), subnetRange(other)];
  return familyOf(subnet) === familyOf(other) && a.first <= b.last && b.first <= a.last;
}

/** Plugins would read such an address as IPv4, and its prefix length as one of IPv6. */
function assertNotMapped(
  first: bigint,
  { given, path }: { readonly given: string; readonly path: string },
): void {
  if (familyOf(given) === 4 || first >> 32n !== 0xffffn) return;
  throw new FieldError(path, `${show(given)} is an IPv4-mapped address: write it as IPv4`);
}

function readAddress(value: unknown, path: string): string {
  const given = text(value, path);
  const number = ipNumber(given);
  if (number !== undefined) assertNotMapped(number, { given, path });
  if (number !== undefined) return addressText(number, familyOf(given));
  throw new FieldError(path, `${show(given)} is not an IP address`);
}

function assertInside(address: string, subnet: string, path: string): void {
  const isInside = familyOf(address) === familyOf(subnet) &&
    includes(subnetRange(subnet), ipNumber(address)!);
  if (!isInside) throw new FieldError(path, `${address} is not inside ${subnet}`);
}

function route(value: unknown, path: string): Route {
  const fields = object(value, path, ["dst", "gw"]);
  const { range, family, prefix } = cidr(fields.dst, join(path, "dst"));
  const at = join(path, "gw");
  const gw = optional(readAddress, fields.gw, at);
  if (gw !== undefined && familyOf(gw) !== family) {
    throw new FieldError(at, `${gw} is not of the family of ${String(fields.dst)}`);
  }
  const dst = `${addressText(range.first, family)}/${prefix}`;
  return { dst, ...(gw !== undefined && { gw }) };
}

function readDns(value: unknown, path: string): Dns {
  const fields = object(value, path, ["nameservers", "domain", "search", "options"]);
  const nameservers = optionalList(fields.nameservers, {
    path: join(path, "nameservers"),
    read: readAddress,
  });
  const domain = optional(text, fields.domain, join(path, "domain"));
  const search = optionalList(fields.search, { path: join(path, "search"), read: text });
  const options = optionalList(fields.options, { path: join(path, "options"), read: text });
  return {
    ...(nameservers && { nameservers }),
    ...(domain !== undefined && { domain }),
    ...(search && { search }),
    ...(options && { options }),
  };
}

function reservation(value: unknown, path: string): Reserved {
  const fields = object(value, path, ["address", "namespace", "claim"]);
  const claim = optional(identity, fields.claim, join(path, "claim"));
  return {
    address: readAddress(fields.address, join(path, "address")),
    namespace: identity(fields.namespace, join(path, "namespace")),
    ...(claim !== undefined && { claim }),
  };
}

function assertReserved(addresses: NetworkAddresses, path: string): void {
  const seen = new Set<string>();
  for (const [i, { address }] of (addresses.reserved ?? []).entries()) {
    const at = `${path}[${i}].address`;
    if (seen.has(address)) throw new FieldError(at, `${address} is reserved twice`);
    seen.add(address);
    const problem = hostProblem(addresses, address);
    if (problem !== undefined) throw new FieldError(at, `${address} ${problem}`);
  }
}

function duration(value: unknown, path: string): string {
  const given = text(value, path);
  if ((milliseconds(given) ?? 0) > 0) return given;
  throw new FieldError(path, `${show(given)} must be a duration such as 90s, 10m or 24h`);
}

function list<T>(
  value: unknown,
  { path, most = MOST_RANGES, read }: {
    readonly path: string;
    readonly most?: number;
    readonly read: (value: unknown, path: string) => T;
  },
): T[] {
  const items = array(value, path);
  if (items.length > most) {
    throw new FieldError(path, `has ${items.length} entries; at most ${most} are allowed`);
  }
  return items.map((item, i) => read(item, `${path}[${i}]`));
}

function optionalList<T>(
  value: unknown,
  options: {
    readonly path: string;
    readonly most?: number;
    readonly read: (value: unknown, path: string) => T;
  },
): T[] | undefined {
  return value === undefined || value === null ? undefined : list(value, options);
}
