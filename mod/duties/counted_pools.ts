import { type Family, familyOf, includes } from "../addresses/ip_range.ts";
import { countAddresses, familiesOf, type NetworkAddresses, usable } from "../addresses/pools.ts";

/** The pools of a Network, as far as they are counted. */
export interface CountedPools {
  /** How many addresses of each of its families pods can get. */
  readonly sizes: ReadonlyMap<Family, bigint>;
  /** Whether an address is one of those, by its number. */
  readonly has: (family: Family, value: bigint) => boolean;
}

/**
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { countedPools } from "./counted_pools.ts";
 *
 * const { sizes, has } = countedPools({ pools: [{ subnet: "10.38.0.0/29", gateway: "10.38.0.1" }] });
 * assert.deepEqual([...sizes], [[4, 5n]]);
 * assert.deepEqual([has(4, 0x0a260001n), has(4, 0x0a260002n)], [false, true]);
 * ```
 */
export function countedPools(addresses: NetworkAddresses): CountedPools {
  const sizes = new Map(
    familiesOf(addresses).map((family) => {
      return [family, countAddresses(addresses, family)] as const;
    }),
  );
  const ranges = Map.groupBy(
    addresses.pools.flatMap((pool) => {
      const family = familyOf(pool.subnet);
      return usable(pool).map((range) => ({ family, range }));
    }),
    ({ family }) => family,
  );
  return {
    sizes,
    has: (family, value) => (ranges.get(family) ?? []).some(({ range }) => includes(range, value)),
  };
}
