import assert from "node:assert/strict";
import { FakeClock } from "../../../tests/support/agent_fakes.ts";
import { Refusals } from "./refusals.ts";

const aClaim = (name: string) => ({ namespace: "default", name, uid: `uid-${name}` });

Deno.test("Refusals counts the tries of a claim in a row, and forgets one that is accepted", async () => {
  const clock = new FakeClock();
  const refusals = new Refusals(clock);
  const shown = () =>
    refusals.all().map(({ claim, error, since, tries }) =>
      `${claim.name} ${error} ${since.toISOString().slice(14, 19)} ${tries}`
    );
  refusals.refused(aClaim("a"), "no plugin");
  await clock.advance(60_000);
  refusals.refused(aClaim("b"), "no policy");
  refusals.refused(aClaim("a"), "no address");
  assert.deepEqual(shown(), ["b no policy 01:00 1", "a no address 00:00 2"]);
  refusals.accepted("uid-a");
  assert.deepEqual(shown(), ["b no policy 01:00 1"]);
  // The kubelet does not ask any more.
  await clock.advance(301_000);
  assert.deepEqual(shown(), []);
  refusals.refused(aClaim("b"), "no policy");
  assert.deepEqual(shown(), ["b no policy 06:01 1"]);
});

Deno.test("Refusals keeps the latest of more than a node can have", () => {
  const refusals = new Refusals(new FakeClock());
  for (let i = 0; i < 300; i++) refusals.refused(aClaim(`${i}`), "no");
  const all = refusals.all();
  assert.deepEqual([all.length, all[0]!.claim.name, all.at(-1)!.claim.name], [256, "44", "299"]);
});
