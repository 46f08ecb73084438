import type { Lease, ReadLease } from "./ports.ts";

/** How long a Lease is valid after its last renewal, in milliseconds. */
export const LEASE_MS = 60_000;
/** As which a longer duration counts: an edited one would keep others away for ever, once its holder is gone. */
const LONGEST_MS = 10 * LEASE_MS;
/** A holder renews it after this, */
export const RENEW_MS = 15_000;
/** and stops what it does as its holder when it could not for this long: before others may take it. */
export const GIVE_UP_MS = 40_000;

/** What one that does not hold the Lease has seen of it: which renewal, and when first, by its own clock. */
export interface Sighting {
  readonly holder: string;
  readonly renewTime: string;
  /** Milliseconds of the clock that is never set back. */
  readonly since: number;
}

/**
 * What has been seen of a Lease, after another look at it. Times are compared by the local clock only:
 * how far the holder's clock is off does not matter.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { look } from "./lease_terms.ts";
 *
 * const lease = { holder: "a", renewTime: "2026-01-01T00:00:00.000000Z", duration: 60_000, transitions: 0 };
 * const first = look(lease, { before: undefined, now: 5 });
 * assert.equal(first.since, 5);
 * assert.equal(look(lease, { before: first, now: 9 }).since, 5);
 * assert.equal(look({ ...lease, renewTime: "later" }, { before: first, now: 9 }).since, 9);
 * ```
 */
export function look(
  { holder, renewTime }: Lease,
  { before, now }: { readonly before: Sighting | undefined; readonly now: number },
): Sighting {
  const isSame = before?.holder === holder && before.renewTime === renewTime;
  return isSame ? before : { holder, renewTime, since: now };
}

/** Whether the Lease can be taken: there is none, nobody holds it, or its holder has not renewed it in time. */
export function isFree(
  lease: Lease | undefined,
  { seen, now }: { readonly seen: Sighting | undefined; readonly now: number },
): boolean {
  if (!lease || lease.holder === "") return true;
  const isSeen = seen?.holder === lease.holder && seen.renewTime === lease.renewTime;
  return isSeen && now - seen.since >= Math.min(lease.duration, LONGEST_MS);
}

/** The Lease as its next holder, or the same one again, writes it. */
export function heldBy(
  me: string,
  { over, now }: { readonly over: ReadLease | undefined; readonly now: Date },
): Lease {
  const taken = over !== undefined && over.holder !== me;
  return {
    holder: me,
    renewTime: microTime(now),
    duration: LEASE_MS,
    transitions: (over?.transitions ?? 0) + (taken ? 1 : 0),
  };
}

/** The Lease as its holder leaves it: the next one takes it at once. */
export function released(lease: Lease, now: Date): Lease {
  return { ...lease, holder: "", renewTime: microTime(now) };
}

/** As the API server writes times of Leases (MicroTime). */
function microTime(time: Date): string {
  return time.toISOString().replace("Z", "000Z");
}
