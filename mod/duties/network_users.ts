import type { AddressUse } from "./address_use.ts";
import type { Users } from "./network_status.ts";

/** So many are named. */
const NAMED = 5;

/** The first few of those who use a Network, in the order of their names. */
export function users(all: Iterable<string>): Users {
  const sorted = [...new Set(all)].sort();
  return { named: sorted.slice(0, NAMED), more: Math.max(0, sorted.length - NAMED) };
}

/** The pods that have addresses; those for which an address is only kept do not count. */
export function podsOf(uses: readonly AddressUse[]): string[] {
  return uses.filter(({ keptUntil }) => keptUntil === undefined).map(({ pod }) => `pod ${pod}`);
}

/**
 * The Networks that an allocated claim names in the configuration of its devices.
 *
 * @param claim as the API server has validated it
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { networksNamedBy } from "./network_users.ts";
 *
 * const opaque = { driver: "dra.networking", parameters: { networkName: "lan" } };
 * const claim = { status: { allocation: { devices: { config: [{ opaque }] } } } };
 * assert.deepEqual(networksNamedBy(claim, "dra.networking"), ["lan"]);
 * assert.deepEqual(networksNamedBy({ spec: claim.status }, "dra.networking"), []);
 * ```
 */
export function networksNamedBy(claim: unknown, driver: string): string[] {
  const { status } = claim as AllocatedClaim;
  return (status?.allocation?.devices?.config ?? []).flatMap(({ opaque }) => {
    const name = opaque?.driver === driver ? opaque.parameters?.networkName : undefined;
    return typeof name === "string" ? [name] : [];
  });
}

interface AllocatedClaim {
  readonly status?: {
    readonly allocation?: {
      readonly devices?: {
        readonly config?: readonly {
          readonly opaque?: {
            readonly driver: string;
            readonly parameters?: { readonly networkName?: unknown };
          };
        }[];
      };
    };
  };
}
