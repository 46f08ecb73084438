import type { AddressUse } from "./address_use.ts";

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
  readonly addresses?: Readonly<Partial<Record<Family, AddressCounts>>>;
}

export type Family = "ipv4" | "ipv6";
const FAMILIES = { ipv4: "IPv4", ipv6: "IPv6" } as const;

/** The pools of a Network, as far as they are counted. */
export interface CountedPools {
  /** How many addresses of a family pods can get; undefined where the Network has none of it. */
  readonly size: (family: Family) => bigint | undefined;
  /** Whether an address is one of those. */
  readonly has: (address: string) => boolean;
}

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
  pools: CountedPools,
  uses: readonly AddressUse[],
): Partial<Record<Family, AddressCounts>> {
  const families = Object.keys(FAMILIES) as Family[];
  return Object.fromEntries(families.flatMap((family) => {
    const size = pools.size(family);
    if (size === undefined) return [];
    const used = uses.filter(({ address }) => familyOf(address) === family);
    // Fixed addresses may be outside of what is given to those who ask for any.
    const left = size - BigInt(used.filter(({ address }) => pools.has(address)).length);
    return [[family, {
      used: used.length,
      left: Number(left > MOST ? MOST : left < 0 ? 0 : left),
    }]];
  }));
}

function exhausted(
  addresses: Partial<Record<Family, AddressCounts>>,
): Omit<Condition, "lastTransitionTime" | "observedGeneration"> {
  const counts = Object.entries(addresses) as [Family, AddressCounts][];
  const none = counts.filter(([, { left }]) => left === 0).map(([family]) => FAMILIES[family]);
  if (none.length > 0) {
    const message = `no ${
      none.join(" and no ")
    } address is left: pods wait until one is given back`;
    return { type: "Exhausted", status: "True", reason: "NoAddressLeft", message };
  }
  const left = counts.map(([family]) => `${FAMILIES[family]}`).join(" and ");
  const message = `${left} addresses are left`;
  return { type: "Exhausted", status: "False", reason: "AddressesLeft", message };
}

function listed({ named, more }: Users): string {
  return named.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

export function familyOf(address: string): Family {
  return address.includes(":") ? "ipv6" : "ipv4";
}

/** Messages of conditions have at most 32,768 characters; nobody reads as many. */
function shortened(message: string): string {
  return message.length > 1_000 ? `${message.slice(0, 999)}…` : message;
}

/** As Kubernetes writes times: to the second. */
function time(now: Date): string {
  return now.toISOString().replace(/\.\d+Z$/, "Z");
}
