import assert from "node:assert/strict";
import { aSandbox } from "../../tests/support/agent_fakes.ts";
import { Roster } from "./roster.ts";

Deno.test("Roster refuses sandboxes without end, and forgets none that it has", () => {
  const roster = new Roster();
  for (let i = 0; i < 16_384; i++) roster.runs(aSandbox(`s${i}`));
  assert.throws(() => roster.runs(aSandbox("one-more")), /told of 16384 sandboxes/);
  roster.runs(aSandbox("s0"));
  assert.equal(roster.sandboxes.length, 16_384);
  roster.stopped("s0");
  roster.runs(aSandbox("one-more"));
});

Deno.test("Roster keeps nothing of containers in sandboxes that it does not know", () => {
  const roster = new Roster();
  for (let i = 0; i < 1000; i++) roster.containerCreated(`unknown-${i}`);
  assert.equal(roster.started.size, 0);
});
