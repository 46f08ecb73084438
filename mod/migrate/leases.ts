import { addressText } from "../addresses/ip_range.ts";
import { type AddressRange, parseAddress, within } from "../claim/addresses.ts";
import { FieldError, type Fields, join, object, show, text } from "../claim/field.ts";
import type { FileObject } from "../manifests/manifests.ts";

/** The API in which whereabouts keeps what it has given. */
export const LEASE_API = "whereabouts.cni.cncf.io/v1alpha1";
const KINDS = ["IPPool", "OverlappingRangeIPReservation"];

/** An address that whereabouts has given to a pod. */
export interface Lease {
  /** One address. */
  readonly address: AddressRange;
  /** `NAMESPACE/NAME` of the pod. */
  readonly pod: string;
  /** What stands before the range or the address in the object's name: whereabouts' network_name, or nothing. */
  readonly network: string;
}

/** Whether an object of a file says what whereabouts has given. */
export function holdsLeases({ unread }: FileObject): boolean {
  return unread?.apiVersion === LEASE_API && KINDS.includes(`${unread.kind}`);
}

/**
 * The addresses in an IPPool (by their offsets in its range), or the one of an
 * OverlappingRangeIPReservation (its name).
 *
 * @throws FieldError
 */
export function leasesIn({ unread }: FileObject): Lease[] {
  const { kind, metadata, spec } = object(unread, "");
  const name = text(object(metadata, "metadata").name, "metadata.name");
  const fields = object(spec, "spec");
  return kind === "IPPool" ? ofPool(name, fields) : [ofReservation(name, fields)];
}

function ofPool(name: string, { range, allocations }: Fields): Lease[] {
  const given = text(range, "spec.range");
  // An offset counts from the address as it is written.
  const base = parseAddress(given.split("/")[0]!);
  if (!base) throw new FieldError("spec.range", `${show(given)} is not a CIDR`);
  const network = before(name, nameOf(given));
  return Object.entries(object(allocations ?? {}, "spec.allocations")).map(([offset, value]) => {
    const at = join("spec.allocations", offset);
    if (!/^[0-9]{1,19}$/.test(offset)) {
      throw new FieldError(at, "must be the offset of an address, a whole number");
    }
    const address = base.first + BigInt(offset);
    const pod = text(object(value, at).podref, join(at, "podref"));
    return { address: { family: base.family, first: address, last: address }, pod, network };
  });
}

function ofReservation(name: string, { podref }: Fields): Lease {
  const [, network = "", written = ""] = /^(?:(.*)-)?(\d+\.\d+\.\d+\.\d+)$/.exec(name) ??
    ipv6In(name);
  const address = parseAddress(written);
  if (!address) throw new FieldError("metadata.name", `${show(name)} does not end with an address`);
  return { address, pod: text(podref, "spec.podref"), network };
}

/** The longest end of a name that is an IPv6 address, whose colons are dashes there. */
function ipv6In(name: string): string[] {
  const parts = name.split("-");
  for (let from = 0; from < parts.length; from++) {
    const written = parts.slice(from).join(":");
    if (parseAddress(written)) return ["", parts.slice(0, from).join("-"), written];
  }
  return [];
}

/** How whereabouts writes a range or an address in the name of an object. */
function nameOf(range: string): string {
  return range.replace(/:$/, ":0").replaceAll(/[:/]/g, "-");
}

function before(name: string, end: string): string {
  return name.endsWith(end) ? name.slice(0, -end.length).replace(/-$/, "") : "";
}

/** The leases in a network's subnets, each address once, in order. */
export function leasesOf(
  leases: readonly Lease[],
  { subnets, networkName }: {
    readonly subnets: readonly AddressRange[];
    /** whereabouts' network_name. */
    readonly networkName?: string;
  },
): Lease[] {
  const own = leases.filter(({ address, network }) =>
    // With node slices, the node's name stands in the object's name too.
    within(address, subnets) &&
    (networkName === undefined || `${network}-`.startsWith(`${networkName}-`))
  );
  const byAddress = new Map(
    own.map((lease) => [`${lease.address.family} ${lease.address.first}`, lease]),
  );
  return [...byAddress.values()].toSorted((a, b) =>
    a.address.family - b.address.family || (a.address.first < b.address.first ? -1 : 1)
  );
}

/** Addresses that whereabouts has given, and perhaps others between them. */
export interface Excluded {
  /** `FIRST-LAST`, or one address. */
  readonly ranges: readonly string[];
  /** How many others. */
  readonly others: bigint;
}

/**
 * Addresses of one family as ranges, as many as are allowed at most: then the smallest gaps between them
 * are filled.
 *
 * @param addresses in order, each once
 */
export function excludedBy(addresses: readonly AddressRange[], most: number): Excluded {
  const gaps = addresses.slice(1)
    .map(({ first }, i) => ({ at: i + 1, size: first - addresses[i]!.first - 1n }))
    .filter(({ size }) => size > 0n)
    .toSorted((a, b) => a.size > b.size ? -1 : a.size < b.size ? 1 : 0);
  const kept = new Set(gaps.slice(0, most - 1).map(({ at }) => at));
  const starts = addresses.flatMap((_, i) => i === 0 || kept.has(i) ? [i] : []);
  const ranges = starts.map((from, i) => {
    const { family, first } = addresses[from]!;
    const { first: last } = addresses[(starts[i + 1] ?? addresses.length) - 1]!;
    const [begin, end] = [first, last].map((value) => addressText(value, family));
    return begin === end ? begin! : `${begin}-${end}`;
  });
  const others = gaps.slice(most - 1).reduce((sum, { size }) => sum + size, 0n);
  return { ranges, others };
}
