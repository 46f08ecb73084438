/** The addresses of a Network, `spec.addresses`, and what may be given to whom. */
import { errorMessage } from "../async/error_message.ts";
import { FieldError, show } from "../claim/field.ts";
import { hostRange, rangeOf, subnetRange } from "./cidr.ts";
import { milliseconds } from "./duration.ts";
import {
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

/** Longer names would make names of NetworkAddresses longer than the API server takes. */
export const LONGEST_NETWORK_NAME = 200;

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
export function hostProblem(addresses: NetworkAddresses, address: string): string | undefined {
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

/** What pools' subnets stand for: each reserved address is looked for in each pool. */
const WHOLES = new WeakMap<AddressPool, IpRange>();

function wholeOf(pool: AddressPool): IpRange {
  const known = WHOLES.get(pool);
  if (known) return known;
  const whole = subnetRange(pool.subnet);
  WHOLES.set(pool, whole);
  return whole;
}

/** All of a family's addresses but these. */
function outside({ first, last }: IpRange, family: Family): IpRange[] {
  return without([{ first: 0n, last: (1n << BigInt(BITS[family])) - 1n }], [{ first, last }]);
}
