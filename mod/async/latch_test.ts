import assert from "node:assert/strict";
import { Latch } from "./latch.ts";

const never = new AbortController().signal;

Deno.test("Latch.wait() resolves when it is set, and at once from then on", async () => {
  const latch = new Latch();
  let woken = 0;
  const waiting = [1, 2].map(() => latch.wait(never).then(() => woken++));
  await Promise.resolve();
  assert.deepEqual([latch.isSet, woken], [false, 0]);
  latch.set();
  await Promise.all(waiting);
  assert.deepEqual([latch.isSet, woken], [true, 2]);
  await latch.wait(AbortSignal.abort());
});

Deno.test("Latch.wait() rejects with the signal's reason", async () => {
  const stop = new AbortController();
  const waiting = new Latch().wait(stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
});
