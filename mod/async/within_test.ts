import assert from "node:assert/strict";
import { FakeClock } from "../../tests/support/agent_fakes.ts";
import { TimeLimitError, within } from "./within.ts";

Deno.test("within() gives what comes in time, also a failure", async () => {
  const options = { limitMs: 1_000, what: "it", clock: new FakeClock() };
  assert.equal(await within(Promise.resolve("yes"), options), "yes");
  await assert.rejects(within(Promise.reject(new Error("no")), options), /no/);
});

Deno.test("within() rejects when its time is over", async () => {
  const clock = new FakeClock();
  const late = within(new Promise(() => {}), { limitMs: 1_500, what: "the end", clock });
  const rejected = assert.rejects(late, (error: Error) => {
    assert.ok(error instanceof TimeLimitError);
    assert.equal(error.message, "the end took longer than 1.5 s");
    return true;
  });
  await clock.advance(1_500);
  await rejected;
});
