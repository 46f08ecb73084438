import assert from "node:assert/strict";
import { assertPatchesFit } from "./broken.ts";
import { simulate } from "./simulate.ts";

const SEED = 1;
const OPERATIONS = 20_000;
/**
 * Runs of this seed that show what is open (docs/faults.md, "Open"), by their seeds. Each goes from here
 * with the fault; with none left, the seed is another one each day.
 */
const OPEN = new Map([
  [2749396224, "state folder lost: nothing tells of a shared claim that containers do not name"],
  [895066864, "state folder lost: GC does not know the attachments of pods that run"],
  [77035631, "a record is damaged whose result is too long for the claim's status: made anew"],
]);

const quiet = { workers: 2, write: () => {} };

Deno.test("a run is a function of its seed, however many threads play", async () => {
  const [one, two, other] = await Promise.all([
    simulate({ ...quiet, seed: 1, ops: 500, workers: 1 }),
    simulate({ ...quiet, seed: 1, ops: 500, workers: 2 }),
    simulate({ ...quiet, seed: 2, ops: 500, workers: 1 }),
  ]);
  assert.equal(one.digest, two.digest);
  assert.notEqual(one.digest, other.digest);
});

Deno.test(`${OPERATIONS} operations of seed ${SEED} break no invariant, but for what is open`, async () => {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const { operations, failures } = await simulate({
    ...quiet,
    seed: SEED,
    ops: OPERATIONS,
    known: new Set(OPEN.keys()),
    write,
  });
  assert.ok(operations >= OPERATIONS);
  assert.equal(failures.length, 0, lines.join("\n"));
});

Deno.test("the changes that break agents on purpose fit the code", assertPatchesFit);
