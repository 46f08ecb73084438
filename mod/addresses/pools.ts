/** The addresses of a Network, `spec.addresses`: read once at the edge, and asked what may be given to whom. */
import { errorMessage } from "../async/error_message.ts";
import { array, FieldError, identity, join, object, optional, show, text } from "../claim/field.ts";
import {
  addressText,
  BITS,
  canonicalAddress,
  type Family,
  familyOf,
  includes,
  ipNumber,
  type IpRange,
  sizeOf,
  without,
} from "./ip_range.ts";

export { canonicalAddress };

/**
 * What a Network's attachments get their addresses from. Plain JSON in canonical notation, so that it
 * can stand in a claim's record as it is; `parseAddresses` reads what it has written.
 */
export interface NetworkAddresses {
  /** One address of each family is taken; the pools of a family in their order. */
  readonly pools: readonly AddressPool[];
  readonly routes?: readonly Route[];
  readonly dns?: Dns;
  readonly reserved?: readonly Reserved[];
  /** For how long an address stays with the name of its pod after the pod, such as `10m`. */
  readonly keepFor?: string;
}

/** Addresses of one subnet. */
export interface AddressPool {
  /** A CIDR without host bits. */
  readonly subnet: string;
  /** `FIRST-LAST` each, or one address, or a CIDR; the whole subnet if absent. */
  readonly ranges?: readonly string[];
  /** The same, for those that are not given out. */
  readonly exclude?: readonly string[];
  readonly gateway?: string;
}

/** A route of a CNI result (CNI SPEC, ADD success). */
export interface Route {
  readonly dst: string;
  readonly gw?: string;
}

/** The DNS settings of a CNI result. */
export interface Dns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** An address for the claims of a namespace, or for one of them. */
export interface Reserved {
  readonly address: string;
  readonly namespace: string;
  readonly claim?: string;
}

/** The claim that asks for an address. */
export interface Asker {
  readonly namespace: string;
  readonly claim: string;
}

/** As many as anyone has; each is compared with each. */
const MOST_POOLS = 64;
const MOST_RANGES = 256;
const MOST_RESERVED = 1_024;
/** Longer names would make names of NetworkAddresses longer than the API server takes. */
export const LONGEST_NETWORK_NAME = 200;

/**
 * Reads `spec.addresses` of a Network.
 *
 * @param path the path of the value, for errors
 * @throws FieldError with the path of the first field that is invalid
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseAddresses } from "./pools.ts";
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

/** The families of which an attachment gets an address, in the order of their first pools. */
export function familiesOf({ pools }: NetworkAddresses): Family[] {
  return [...new Set(pools.map(({ subnet }) => familyOf(subnet)))];
}

/** For how many milliseconds an address is kept for the pod's name; 0 if it is not. */
export function keepForMs({ keepFor }: NetworkAddresses): number {
  return keepFor === undefined ? 0 : milliseconds(keepFor)!;
}

/** The pool whose subnet the address is in. */
export function poolOf(
  { pools }: NetworkAddresses,
  address: string,
): AddressPool | undefined {
  const value = ipNumber(address);
  if (value === undefined) return undefined;
  const family = familyOf(address);
  return pools.find((pool) => familyOf(pool.subnet) === family && includes(wholeOf(pool), value));
}

/** How many addresses the pools of a family can give out, reserved ones among them. */
export function countAddresses({ pools }: NetworkAddresses, family: Family): bigint {
  return pools.filter(({ subnet }) => familyOf(subnet) === family).flatMap(usable)
    .reduce((sum, range) => sum + sizeOf(range), 0n);
}

/** The addresses of a pool that can be given out, in ascending order; reserved ones are among them. */
export function usable({ subnet, ranges, exclude = [], gateway }: AddressPool): IpRange[] {
  const hosts = hostRange(subnet);
  const wanted = ranges?.map((each) => rangeOf(each)!) ?? [hosts];
  const inside = without(wanted, outside(hosts, familyOf(subnet)));
  const unwanted = [...exclude, ...(gateway === undefined ? [] : [gateway])];
  return without(inside, unwanted.map((each) => rangeOf(each)!));
}

/**
 * Refuses an address that a claim names if the claim may not have it. It may lie outside of the ranges,
 * since whoever names one knows it, but not among those that are excluded: machines have these.
 *
 * @throws Error that says why
 */
export function assertMayHave(addresses: NetworkAddresses, address: string, asker: Asker): void {
  const problem = hostProblem(addresses, address);
  if (problem !== undefined) throw new Error(`${address} ${problem}`);
  const reserved = addresses.reserved?.find((each) => each.address === address);
  if (reserved && !isFor(reserved, asker)) {
    const whom = reserved.claim === undefined
      ? `claims in namespace ${reserved.namespace}`
      : `claim ${reserved.namespace}/${reserved.claim}`;
    throw new Error(`${address} is reserved for ${whom}`);
  }
  if (!reserved && isExcluded(addresses, address)) {
    throw new Error(
      `${address} is excluded by the Network: name another address, or have an administrator ` +
        "reserve it for the claim",
    );
  }
}

/** Whether a claim that names no address may be given this one now: the Network may have changed. */
export function mayGive(addresses: NetworkAddresses, address: string, asker: Asker): boolean {
  const pool = poolOf(addresses, address);
  if (!pool || hostProblem(addresses, address) !== undefined) return false;
  const reserved = addresses.reserved?.find((each) => each.address === address);
  if (reserved) return isFor(reserved, asker);
  return usable(pool).some((range) => includes(range, ipNumber(address)!));
}

function isExcluded(addresses: NetworkAddresses, address: string): boolean {
  const value = ipNumber(address)!;
  return poolOf(addresses, address)?.exclude?.some((each) => includes(rangeOf(each)!, value)) ??
    false;
}

/**
 * Refuses the addresses that a claim names (its capability `ips`) if it cannot get them: at most one of
 * each family, which it may have.
 *
 * @param path where they are named, for errors
 * @throws FieldError
 */
export function assertNamed(
  addresses: NetworkAddresses,
  named: readonly string[],
  { asker, path }: { readonly asker: Asker; readonly path: string },
): void {
  const families = new Map<Family, string>();
  for (const [i, given] of named.entries()) {
    const at = `${path}[${i}]`;
    const address = canonicalAddress(given.split("/")[0]!);
    if (address === undefined) throw new FieldError(at, `${show(given)} is not an IP address`);
    const before = families.get(familyOf(address));
    if (before !== undefined) {
      throw new FieldError(
        at,
        `an attachment has one address of each family, and ${before} is one`,
      );
    }
    families.set(familyOf(address), address);
    try {
      assertMayHave(addresses, address, asker);
    } catch (error) {
      throw new FieldError(at, errorMessage(error));
    }
  }
}

/** Whether a claim may have a reserved address. */
export function isFor({ namespace, claim }: Reserved, asker: Asker): boolean {
  return namespace === asker.namespace && (claim === undefined || claim === asker.claim);
}

/** Why nobody can have this address; undefined if someone can. */
function hostProblem(addresses: NetworkAddresses, address: string): string | undefined {
  const pool = poolOf(addresses, address);
  if (!pool) {
    return `is in no subnet of the network (${
      addresses.pools.map(({ subnet }) => subnet).join(", ")
    })`;
  }
  if (pool.gateway === address) return "is the network's gateway";
  if (!includes(hostRange(pool.subnet), ipNumber(address)!)) {
    return familyOf(address) === 4
      ? `is the network or broadcast address of ${pool.subnet}`
      : `is the subnet-router anycast address of ${pool.subnet}`;
  }
  return undefined;
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
  if (given === range.first) return canonical;
  throw new FieldError(path, `${show(value)} has host bits set: write ${canonical}`);
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

interface Cidr {
  readonly range: IpRange;
  readonly family: Family;
  readonly prefix: number;
}

function parseCidr(given: string): Cidr | undefined {
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

/** The addresses that a text stands for: one, `FIRST-LAST`, or a CIDR. */
function rangeOf(given: string): IpRange | undefined {
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

/** What pools' subnets stand for: each reserved address is looked for in each pool. */
const WHOLES = new WeakMap<AddressPool, IpRange>();

function wholeOf(pool: AddressPool): IpRange {
  const known = WHOLES.get(pool);
  if (known) return known;
  const whole = subnetRange(pool.subnet);
  WHOLES.set(pool, whole);
  return whole;
}

function subnetRange(subnet: string): IpRange {
  return parseCidr(subnet)!.range;
}

/**
 * The addresses of a subnet that interfaces can have: not those of the network and for broadcasts, but
 * both of a /31 (RFC 3021); not the anycast address of routers (RFC 4291, 2.6.1), but both of a /127
 * (RFC 6164).
 */
function hostRange(subnet: string): IpRange {
  const { range, family, prefix } = parseCidr(subnet)!;
  if (prefix >= BITS[family] - 1) return range;
  return { first: range.first + 1n, last: family === 4 ? range.last - 1n : range.last };
}

/** All of a family's addresses but these. */
function outside({ first, last }: IpRange, family: Family): IpRange[] {
  return without([{ first: 0n, last: (1n << BigInt(BITS[family])) - 1n }], [{ first, last }]);
}

function assertApart(pools: readonly AddressPool[], path: string): void {
  for (const [i, { subnet }] of pools.entries()) {
    const range = subnetRange(subnet);
    const other = pools.slice(0, i).find((each) =>
      familyOf(each.subnet) === familyOf(subnet) && overlap(subnetRange(each.subnet), range)
    );
    if (!other) continue;
    const at = `${path}[${i}].subnet`;
    throw new FieldError(
      at,
      `${subnet} overlaps with ${other.subnet}: give each address to one pool`,
    );
  }
}

function overlap(a: IpRange, b: IpRange): boolean {
  return a.first <= b.last && b.first <= a.last;
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

/** Units of a duration, in milliseconds. */
const UNITS = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

function duration(value: unknown, path: string): string {
  const given = text(value, path);
  if ((milliseconds(given) ?? 0) > 0) return given;
  throw new FieldError(path, `${show(given)} must be a duration such as 90s, 10m or 24h`);
}

function milliseconds(given: string): number | undefined {
  const [, count, unit] = /^(\d{1,6})([smh])$/.exec(given) ?? [];
  return unit === undefined ? undefined : Number(count) * UNITS[unit as keyof typeof UNITS];
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
