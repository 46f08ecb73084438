/**
 * What makes others wait while it is held, in the order in which it may be taken: whoever holds one
 * waits only for those after it, and never for a second one of the same rank. So no two tasks can
 * wait for each other.
 *
 * - claim: one claim's record and what follows from it (KeyedLock in agent.ts)
 * - read: a place among the reads of the API server (planner, shared claims) and writes of statuses
 * - network: ADD and DEL of a network, or its GC (NetworkLocks)
 * - operation: a place among the CNI operations of the node (Limiter in agent.ts)
 */
export const LOCK_ORDER = ["claim", "read", "network", "operation"] as const;

/** A place in the lock order. */
export type LockRank = (typeof LOCK_ORDER)[number];

/** Carries what a task holds through all that it awaits: `AsyncLocalStorage` of node:async_hooks. */
export interface LockContext {
  getStore(): readonly Hold[] | undefined;
  run<T>(holds: readonly Hold[], task: () => T): T;
}

/** That a task holds something; it may have begun others meanwhile, which hold nothing by that. */
export interface Hold {
  readonly rank: LockRank;
  over: boolean;
}

let context: LockContext | undefined;

/**
 * From now on a lock that is taken out of order throws. For tests and the simulation: following what
 * each task holds costs time.
 */
export function checkLockOrder(by: LockContext): void {
  context = by;
}

/** @throws Error when the caller holds what it may not hold while it waits for this; only while checked */
export function assertLockOrder(rank: LockRank | undefined): void {
  if (!context || !rank) return;
  const above = held(context).find((hold) =>
    LOCK_ORDER.indexOf(hold.rank) >= LOCK_ORDER.indexOf(rank)
  );
  if (!above) return;
  throw new Error(
    `lock order: "${rank}" is taken while "${above.rank}" is held; the order is ` +
      LOCK_ORDER.join(", "),
  );
}

/** Runs what holds a lock. */
export async function holding<T>(
  rank: LockRank | undefined,
  task: () => Promise<T>,
): Promise<T> {
  if (!context || !rank) return await task();
  const hold: Hold = { rank, over: false };
  try {
    return await context.run([...held(context), hold], task);
  } finally {
    hold.over = true;
  }
}

function held(by: LockContext): Hold[] {
  return (by.getStore() ?? []).filter(({ over }) => !over);
}
