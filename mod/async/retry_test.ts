import assert from "node:assert/strict";
import { FakeClock } from "../../tests/support/agent_fakes.ts";
import { retry } from "./retry.ts";

const backoff = { first: 100, most: 400 };

Deno.test("retry() runs a task until it succeeds, with pauses that grow up to a limit", async () => {
  const clock = new FakeClock();
  const began = clock.now().getTime();
  const times: number[] = [];
  const failures: number[] = [];
  const task = () => {
    times.push(clock.now().getTime() - began);
    return times.length < 6 ? Promise.reject(new Error("no")) : Promise.resolve("yes");
  };
  const { signal } = new AbortController();
  const done = retry(task, { clock, backoff, signal, failed: (_, n) => failures.push(n) });
  await clock.advance(10_000);
  assert.equal(await done, "yes");
  assert.deepEqual(failures, [1, 2, 3, 4, 5]);
  const pauses = times.slice(1).map((time, i) => time - times[i]!);
  [100, 200, 400, 400, 400].forEach((full, i) => {
    assert.ok(pauses[i]! <= full && pauses[i]! >= full * 0.8, `pause ${i + 1}: ${pauses[i]} ms`);
  });
});

Deno.test("retry() ends with the signal's reason in a pause, and during a task that fails then", async (t) => {
  await t.step("in a pause", async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const task = () => Promise.reject(new Error("no"));
    const done = retry(task, { clock, backoff, signal: stop.signal });
    await clock.advance(50);
    stop.abort(new Error("enough"));
    await assert.rejects(done, /enough/);
  });
  await t.step("during a task", async () => {
    const stop = new AbortController();
    const failed = () => assert.fail("it is over");
    const task = () => {
      stop.abort(new Error("enough"));
      return Promise.reject(new Error("no"));
    };
    const done = retry(task, { clock: new FakeClock(), backoff, signal: stop.signal, failed });
    await assert.rejects(done, /enough/);
  });
});
