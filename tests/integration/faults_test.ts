/**
 * A short run of the fault tests, and that they notice an agent which is broken on purpose. The seed
 * is another each day, so that the days see different runs; a failure names it.
 */
import assert from "node:assert/strict";
import { type Sabotage, SABOTAGES } from "../faults/control.ts";
import { play } from "../faults/play.ts";
import type { Invariant } from "../faults/record.ts";
import { summary } from "../faults/summary.ts";

Deno.test("500 operations under faults violate nothing", async () => {
  const seed = Math.floor(Date.now() / 86_400_000);
  const lines: string[] = [];
  const record = await play({ ops: 500, seed, write: (line) => void lines.push(line) });
  assert.equal(record.violations, 0, [...lines, summary(record, seed)].join("\n"));
  assert.ok(record.operations >= 500 && record.faultCount >= 50);
});

const NOTICED: Readonly<Record<Sabotage, Invariant>> = {
  "forgets DEL": "leftovers",
  "opens the gate early": "gate",
  "lets containers start early": "gate",
  "deletes what lives": "living",
  "writes no status": "status",
  "takes others' entries": "others",
  "runs two operations at once": "serial",
  "keeps records": "leftovers",
  "keeps descriptors": "resources",
  "frees addresses before DEL": "addresses",
  "keeps addresses after DEL": "addresses",
  "takes addresses off record": "addresses",
};

Deno.test("the fault tests notice an agent that", async (t) => {
  for (const sabotage of SABOTAGES) {
    await t.step(sabotage, async () => {
      const invariant = NOTICED[sabotage];
      const record = await play({
        ops: 150,
        seed: 1,
        sabotage,
        settleLimit: 1_500,
        enough: ({ violated }) => violated.has(invariant),
        write: () => {},
      });
      assert.ok(record.violated.has(invariant), summary(record, 1));
    });
  }
});
