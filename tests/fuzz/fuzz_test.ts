import assert from "node:assert/strict";
import { describe, fuzz } from "./run.ts";
import { Random } from "./random.ts";
import { TARGETS } from "./targets.ts";

/** Of each run of the tests; `deno task fuzz` gives more. */
const INPUTS = 20_000;
const SEED = 5;

const each = Math.ceil(INPUTS / Object.keys(TARGETS).length);
for (const target of Object.keys(TARGETS)) {
  Deno.test(`${each} hostile inputs: ${target}`, async () => {
    const outcome = await fuzz(target, { seed: SEED, first: 0, inputs: each });
    const found = outcome.found.map(({ problem, input }) => `${problem}\n  input: ${input}`);
    assert.deepEqual(found, [], describe(target, outcome));
    assert.equal(outcome.done, each);
  });
}

Deno.test("the fuzzer finds code that breaks the rules", async (t) => {
  const module = new URL("bad_targets.ts", import.meta.url).href;
  const options = { module, seed: 1, first: 0, inputs: 10 };
  const cases: Record<string, RegExp> = {
    throws: /an error that is not declared: TypeError: a slip/,
    // On a machine that is busy it may not come to a second of the processor.
    runsForEver: /it runs for more than 1000 ms|it does not come to an end/,
    waitsForEver: /it does not come to an end/,
    keepsBuffers: /the process holds \d+ bytes|the process ended/,
    keepsObjects: /the process holds \d+ bytes|the process ended|heap/,
    writesElsewhere: /Requires write access/,
    writesElsewhereAndSaysAnother: /it tried: cannot write: Requires write access/,
    runsAProgram: /Requires run access/,
    failsLater: /nobody caught/,
    rejectsUnheard: /nobody caught/,
    changesAllObjects: /Object\.prototype has got a property polluted/,
    saysTooMuch: /an error has 10000 characters/,
  };
  const { found, done } = await fuzz("good", options);
  assert.deepEqual([found, done], [[], 10]);
  for (const [target, says] of Object.entries(cases)) {
    await t.step(target, async () => {
      const { found } = await fuzz(target, options);
      assert.match(found[0]?.problem ?? "nothing was found", says);
    });
  }
});

Deno.test("a seed gives the same input again, and another seed or number another", () => {
  const numbers = (...from: [number, string, number]) => {
    const random = new Random(...from);
    return Array.from({ length: 4 }, () => random.next()).join();
  };
  assert.equal(numbers(1, "mux", 7), numbers(1, "mux", 7));
  const all = [
    numbers(1, "mux", 7),
    numbers(2, "mux", 7),
    numbers(1, "nri", 7),
    numbers(1, "mux", 8),
  ];
  assert.equal(new Set(all).size, all.length);
});
