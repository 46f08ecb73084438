import type { AddressUse } from "./address_use.ts";
import type { CountedPools } from "./counted_pools.ts";

/** A condition, as Kubernetes writes them. */
export interface Condition {
  readonly type: "Valid" | "Exhausted" | "InUse";
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

/** Of one family. */
export interface AddressCounts {
  readonly used: number;
  readonly left: number;
}

/** The status of a Network. */
export interface NetworkStatus {
  readonly observedGeneration: number;
  readonly conditions: readonly Condition[];
  /** Absent for a Network that has no addresses. */
  readonly attachments?: number;
  readonly addresses?: Readonly<Partial<Record<FamilyKey, AddressCounts>>>;
}

type FamilyKey = "ipv4" | "ipv6";
/** As which key a family is counted. */
const KEYS = { 4: "ipv4", 6: "ipv6" } as const;
const NAMES = { ipv4: "IPv4", ipv6: "IPv6" } as const;

/** What is said of a Network. */
export interface ObservedNetwork {
  readonly name: string;
  readonly generation: number;
  /** Undefined for a Network without addresses. */
  readonly pools: CountedPools | undefined;
  /** The first problem of its spec. */
  readonly invalid: string | undefined;
  /** Who still uses it, while it is to be deleted; undefined while it is not. */
  readonly users: Users | undefined;
  /** As it was written last. */
  readonly before: NetworkStatus | undefined;
}

/** Who uses a Network: the first few by name, such as `pod shop/db-0`. */
export interface Users {
  readonly named: readonly string[];
  readonly more: number;
}

/** More are written as this many: counts of Kubernetes have 32 bits. */
const MOST = 2 ** 31 - 1;

/**
 * The status that a Network is to have.
 *
 * @param uses its addresses
 */
export function networkStatus(
  network: ObservedNetwork,
  { uses, now }: { readonly uses: readonly AddressUse[]; readonly now: Date },
): NetworkStatus {
  const { generation, invalid, pools, users, before } = network;
  const conditions: Omit<Condition, "lastTransitionTime" | "observedGeneration">[] = [
    invalid === undefined
      ? { type: "Valid", status: "True", reason: "Valid", message: "claims can use the network" }
      : { type: "Valid", status: "False", reason: "Invalid", message: shortened(invalid) },
  ];
  const addresses = pools && countsOf(pools, uses);
  if (addresses) conditions.push(exhausted(addresses));
  if (users) {
    conditions.push({
      type: "InUse",
      status: "True",
      reason: "DeletionWaits",
      message: `the Network is deleted when nothing uses it; in use by ${listed(users)}`,
    });
  }
  return {
    observedGeneration: generation,
    conditions: conditions.map((condition) => {
      const old = before?.conditions?.find(({ type }) => type === condition.type);
      const isSame = old?.status === condition.status;
      const lastTransitionTime = isSame ? old.lastTransitionTime : time(now);
      return { ...condition, observedGeneration: generation, lastTransitionTime };
    }),
    ...addresses && {
      attachments: new Set(uses.filter(isAttached).map(({ attachment }) => attachment)).size,
      addresses,
    },
  };
}

/** Addresses that are kept for pods count as used, but belong to no attachment. */
function isAttached({ keptUntil }: AddressUse): boolean {
  return keptUntil === undefined;
}

function countsOf(
  { sizes, has }: CountedPools,
  uses: readonly AddressUse[],
): Partial<Record<FamilyKey, AddressCounts>> {
  return Object.fromEntries(
    [...sizes].sort(([a], [b]) => a - b).map(([family, size]) => {
      const used = uses.filter((use) => use.family === family);
      // Fixed addresses may be outside of what is given to those who ask for any.
      const left = Number(size) - used.filter(({ value }) => has(family, value)).length;
      return [KEYS[family], { used: used.length, left: Math.min(MOST, Math.max(0, left)) }];
    }),
  );
}

function exhausted(
  addresses: Partial<Record<FamilyKey, AddressCounts>>,
): Omit<Condition, "lastTransitionTime" | "observedGeneration"> {
  const counts = Object.entries(addresses) as [FamilyKey, AddressCounts][];
  const none = counts.filter(([, { left }]) => left === 0).map(([family]) => NAMES[family]);
  if (none.length > 0) {
    const message = `no ${
      none.join(" and no ")
    } address is left: pods wait until one is given back`;
    return { type: "Exhausted", status: "True", reason: "NoAddressLeft", message };
  }
  const families = counts.map(([family]) => NAMES[family]).join(" and ");
  const message = `${families} addresses are left`;
  return { type: "Exhausted", status: "False", reason: "AddressesLeft", message };
}

function listed({ named, more }: Users): string {
  return named.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** Messages of conditions have at most 32,768 characters; nobody reads as many. */
function shortened(message: string): string {
  return message.length > 1_000 ? `${message.slice(0, 999)}…` : message;
}

/** As Kubernetes writes times: to the second. */
function time(now: Date): string {
  return now.toISOString().replace(/\.\d+Z$/, "Z");
}
