import assert from "node:assert/strict";
import { aSandbox } from "../../../tests/support/agent_fakes.ts";
import { KnownSandboxes } from "./known_sandboxes.ts";

Deno.test("KnownSandboxes refuses sandboxes without end, and forgets none that it has", () => {
  const knownSandboxes = new KnownSandboxes();
  for (let i = 0; i < 16_384; i++) knownSandboxes.runs(aSandbox(`s${i}`));
  assert.throws(() => knownSandboxes.runs(aSandbox("one-more")), /has reported 16384 sandboxes/);
  knownSandboxes.runs(aSandbox("s0"));
  assert.equal(knownSandboxes.sandboxes.length, 16_384);
  knownSandboxes.stopped("s0");
  knownSandboxes.runs(aSandbox("one-more"));
});

Deno.test("KnownSandboxes keeps nothing of containers in sandboxes that it does not know", () => {
  const knownSandboxes = new KnownSandboxes();
  for (let i = 0; i < 1000; i++) knownSandboxes.containerCreated(`unknown-${i}`);
  assert.equal(knownSandboxes.started.size, 0);
});
