import assert from "node:assert/strict";
import { CRASH_POINTS, FAULT_KINDS, type Round, schedule } from "./schedule.ts";

function rounds(seed: number, count: number): Round[] {
  const found: Round[] = [];
  for (const round of schedule(seed)) {
    found.push(round);
    if (found.length === count) return found;
  }
  return found;
}

Deno.test("schedule() gives the same rounds for the same seed, and others for another", () => {
  assert.deepEqual(rounds(7, 50), rounds(7, 50));
  assert.notDeepEqual(rounds(7, 50), rounds(8, 50));
});

Deno.test("schedule() comes to every fault and every crash point", () => {
  const faults = rounds(1, 300).flatMap((round) => round.faults);
  assert.deepEqual(new Set(faults.map(({ kind }) => kind)), new Set(FAULT_KINDS));
  assert.deepEqual(new Set(faults.map(({ crashPoint }) => crashPoint)), new Set(CRASH_POINTS));
});

Deno.test("schedule() ends every pod once, and all by the rounds that drain", () => {
  const living = new Set<string>();
  for (const { born, ended, drains } of rounds(3, 100)) {
    for (const pod of ended) assert.ok(living.delete(pod), pod);
    for (const { pod, rounds } of born) if (rounds > 0 && !drains) living.add(pod);
    if (drains) assert.equal(living.size, 0);
  }
});

Deno.test("schedule() gives no pod two interfaces in one network", () => {
  for (const { born } of rounds(4, 100)) {
    for (const { claims } of born) {
      const networks = claims.flatMap((claim) => claim.networks.map(({ network }) => network));
      assert.equal(new Set(networks).size, networks.length);
    }
  }
});
