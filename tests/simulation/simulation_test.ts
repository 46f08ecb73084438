import assert from "node:assert/strict";
import { assertPatchesFit } from "./broken.ts";
import { simulate } from "./simulate.ts";

/** Another one each day (UTC). `deno task simulate --seed SEED --ops 50000` plays the same again. */
const SEED = Math.floor(Date.now() / 86_400_000);
const OPERATIONS = 50_000;

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

Deno.test(`${OPERATIONS} operations of seed ${SEED} break no invariant`, async () => {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const { operations, failures } = await simulate({
    ...quiet,
    seed: SEED,
    ops: OPERATIONS,
    write,
  });
  assert.ok(operations >= OPERATIONS);
  assert.equal(failures.length, 0, lines.join("\n"));
});

Deno.test("the changes that break agents on purpose fit the code", assertPatchesFit);
