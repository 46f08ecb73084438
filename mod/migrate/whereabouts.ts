import { addressText } from "../addresses/ip_range.ts";
import type { AddressPool } from "../addresses/pools.ts";
import { type AddressRange, parseAddress, parseNetwork, within } from "../claim/addresses.ts";
import {
  array,
  FieldError,
  type Fields,
  join,
  object,
  optional,
  show,
  text,
} from "../claim/field.ts";

/** What whereabouts is told, as a Network says it. */
export interface WhereaboutsIpam {
  /** One a family. */
  readonly pools: readonly AddressPool[];
  readonly subnets: readonly AddressRange[];
  readonly routes?: readonly unknown[];
  readonly dns?: Fields;
  /** Leases with this name are of the network, and no others. */
  readonly networkName?: string;
  readonly notes: readonly string[];
}

/** Keys that say how whereabouts works, and nothing of addresses. */
const WAYS = [
  "type",
  "name",
  "datastore",
  "kubernetes",
  "configuration_path",
  "log_file",
  "log_level",
  "leader_lease_duration",
  "leader_renew_deadline",
  "leader_retry_period",
  "reconciler_cron_expression",
  "sleep_for_race",
  "enable_overlapping_ranges",
  "node_slice_size",
];
const READ = [
  "range",
  "range_start",
  "range_end",
  "exclude",
  "ipRanges",
  "gateway",
  "routes",
  "dns",
  "network_name",
];

/**
 * Reads the `ipam` of a configuration that names whereabouts (as of its release 0.9).
 *
 * @throws FieldError for what a Network cannot say
 */
export function whereaboutsIpam(ipam: Fields, path: string): WhereaboutsIpam {
  refuseOthers(ipam, path);
  const given = optional(text, blank(ipam.gateway), join(path, "gateway"));
  const gateway = given === undefined ? undefined : address(given, join(path, "gateway"));
  const notes: string[] = [];
  const read = rangesOf(ipam, path).map((each) => pool(each, notes));
  assertOneAFamily(read, path);
  const isInside = gateway && read.some(({ subnet }) => within(gateway, [subnet]));
  const routes = optional(array, ipam.routes, join(path, "routes"));
  if (gateway && !isInside) refuseOrLeaveOut(given!, { read, routes, path, notes });
  const dns = optional(object, ipam.dns, join(path, "dns"));
  const networkName = optional(text, blank(ipam.network_name), join(path, "network_name"));
  return {
    pools: read.map(({ subnet, pool }) =>
      gateway && within(gateway, [subnet]) ? { ...pool, gateway: shown(gateway) } : pool
    ),
    subnets: read.map(({ subnet }) => subnet),
    ...(routes && routes.length > 0 && { routes }),
    ...(dns && Object.keys(dns).length > 0 && { dns }),
    ...(networkName !== undefined && { networkName }),
    notes,
  };
}

function refuseOthers(ipam: Fields, path: string): void {
  const { addresses } = ipam;
  if (Array.isArray(addresses) && addresses.length > 0) {
    throw new FieldError(
      join(path, "addresses"),
      "gives all pods these addresses besides their own, which a Network cannot: leave the network " +
        "with Multus, or remove them",
    );
  }
  const unknown = Object.keys(ipam).find((key) =>
    key !== "addresses" && !key.startsWith("etcd_") && !WAYS.includes(key) && !READ.includes(key)
  );
  if (unknown === undefined) return;
  throw new FieldError(
    join(path, unknown),
    "is not known of whereabouts: remove it, or leave the network with Multus",
  );
}

interface Range {
  readonly fields: Fields;
  readonly path: string;
}

/** `range` comes before `ipRanges`. */
function rangesOf(ipam: Fields, path: string): Range[] {
  const { range, range_start, range_end, exclude } = ipam;
  const at = join(path, "ipRanges");
  const more = (optional(array, ipam.ipRanges, at) ?? []).map((each, i): Range => {
    return { fields: object(each, `${at}[${i}]`), path: `${at}[${i}]` };
  });
  const main = blank(range) === undefined
    ? []
    : [{ fields: { range, range_start, range_end, exclude }, path }];
  const all = [...main, ...more];
  if (all.length > 0) return all;
  throw new FieldError(
    join(path, "range"),
    "is missing: it is in a file of the nodes (whereabouts.conf). Write it here, then migrate again",
  );
}

interface ReadPool {
  readonly subnet: AddressRange;
  readonly pool: AddressPool;
}

/** @param notes gets what is said of it */
function pool({ fields, path }: Range, notes: string[]): ReadPool {
  const at = join(path, "range");
  const given = text(fields.range, at);
  // FIRST-LAST/LENGTH stands for range_start and range_end.
  const [, start, rest = ""] = /^([^-]+)-(.*)$/.exec(given) ?? [, undefined, given];
  const subnet = parseNetwork(rest.trim());
  if (!subnet) throw new FieldError(at, `${show(given)} must be a CIDR, such as 10.38.0.0/24`);
  const length = rest.trim().split("/")[1]!;
  const ends = {
    first: start ?? blank(fields.range_start),
    last: start === undefined ? blank(fields.range_end) : rest.split("/")[0],
  };
  const first = end(ends.first, { path: join(path, "range_start"), subnet, notes });
  const last = end(ends.last, { path: join(path, "range_end"), subnet, notes, from: first });
  const hosts = { first: subnet.first + 1n, last: subnet.last - 1n };
  const range = (first ?? last) &&
    `${shown({ ...subnet, first: first?.first ?? hosts.first })}-${
      shown({ ...subnet, first: last?.first ?? hosts.last })
    }`;
  const excludeAt = join(path, "exclude");
  const exclude = (optional(array, fields.exclude, excludeAt) ?? [])
    .map((each, i) => excluded(text(each, `${excludeAt}[${i}]`), `${excludeAt}[${i}]`))
    // One that leaves nothing is how whereabouts is told to give no more.
    .filter((each) => within(each.addresses, [subnet]) && !within(subnet, [each.addresses]))
    .map(({ text }) => text);
  return {
    subnet,
    pool: {
      subnet: `${shown(subnet)}/${length}`,
      ...(range && { ranges: [range] }),
      ...(exclude.length > 0 && { exclude }),
    },
  };
}

/** whereabouts ignores an end of a range that is not an address of a host in it. */
function end(
  value: unknown,
  { path, subnet, notes, from }: {
    readonly path: string;
    readonly subnet: AddressRange;
    readonly notes: string[];
    /** Where the range begins. */
    readonly from?: AddressRange;
  },
): AddressRange | undefined {
  const given = optional(text, value, path);
  if (given === undefined) return undefined;
  const found = address(given.trim(), path);
  const least = from?.first ?? subnet.first + 1n;
  if (found.family === subnet.family && least <= found.first && found.first < subnet.last) {
    return found;
  }
  notes.push(
    `${path} ${given} is left out: it is not a host's address in the range, so whereabouts ignores it.`,
  );
  return undefined;
}

/** Host bits of a CIDR may be set. */
function excluded(
  given: string,
  path: string,
): { readonly addresses: AddressRange; readonly text: string } {
  const single = parseAddress(given);
  if (single) return { addresses: single, text: shown(single) };
  const addresses = parseNetwork(given);
  if (!addresses) throw new FieldError(path, `${show(given)} must be an address or a CIDR`);
  return { addresses, text: `${shown(addresses)}/${given.split("/")[1]}` };
}

function assertOneAFamily(read: readonly ReadPool[], path: string): void {
  for (const family of [4, 6]) {
    if (read.filter(({ subnet }) => subnet.family === family).length < 2) continue;
    throw new FieldError(
      join(path, "ipRanges"),
      `has two ranges of IPv${family}, from each of which pods get an address: a Network gives one ` +
        "address of each family. Leave the network with Multus, or make two networks of it",
    );
  }
}

/** A gateway outside of all ranges is of no use: only routes that name none would go by it. */
function refuseOrLeaveOut(
  gateway: string,
  { read, routes = [], path, notes }: {
    readonly read: readonly ReadPool[];
    readonly routes: readonly unknown[] | undefined;
    readonly path: string;
    readonly notes: string[];
  },
): void {
  const at = join(path, "gateway");
  const where = read.map(({ pool }) => pool.subnet).join(" and ");
  const problem = `${gateway} is outside of ${where}`;
  const isUsed = routes.some((route, i) => !object(route, `${path}.routes[${i}]`).gw);
  if (isUsed) {
    throw new FieldError(
      at,
      `${problem}, so the routes cannot go by it: correct the gateway or the range`,
    );
  }
  notes.push(`${at} is left out: ${problem}, and nothing uses it.`);
}

/** Go takes an empty string for a field that is left out. */
function blank(value: unknown): unknown {
  return value === "" ? undefined : value;
}

function address(given: string, path: string): AddressRange {
  const found = parseAddress(given);
  if (found) return found;
  throw new FieldError(path, `${show(given)} must be an IP address`);
}

/** The first address of a range. */
function shown({ family, first }: Pick<AddressRange, "family" | "first">): string {
  return addressText(first, family);
}
