import assert from "node:assert/strict";
import { KeyedLock } from "./keyed_lock.ts";

/** A task that notes when it begins and ends, and ends when told. */
function task(log: string[], name: string) {
  let end = () => {};
  const ended = new Promise<void>((resolve) => end = resolve);
  const run = async () => {
    log.push(`${name} begins`);
    await ended;
    log.push(`${name} ends`);
  };
  return { run, end: () => end() };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("KeyedLock.run() lets tasks of one key run one after the other", async () => {
  const lock = new KeyedLock();
  const log: string[] = [];
  const [a, b] = [task(log, "a"), task(log, "b")];
  const done = [lock.run(["x"], a.run), lock.run(["x", "y"], b.run)];
  await turn();
  b.end();
  a.end();
  await Promise.all(done);
  assert.deepEqual(log, ["a begins", "a ends", "b begins", "b ends"]);
});

Deno.test("KeyedLock.run() lets tasks of different keys run side by side", async () => {
  const lock = new KeyedLock();
  const log: string[] = [];
  const [a, b] = [task(log, "a"), task(log, "b")];
  const done = [lock.run(["x"], a.run), lock.run(["y"], b.run)];
  await turn();
  assert.deepEqual(log, ["a begins", "b begins"]);
  a.end();
  b.end();
  await Promise.all(done);
});

Deno.test("KeyedLock.run() of batches in opposite order does not lock up", async () => {
  const lock = new KeyedLock();
  const results = await Promise.all([
    lock.run(["x", "y"], () => Promise.resolve(1)),
    lock.run(["y", "x"], () => Promise.resolve(2)),
    lock.run(["x", "x"], () => Promise.resolve(3)),
  ]);
  assert.deepEqual(results, [1, 2, 3]);
});

Deno.test("KeyedLock.run() goes on after a task that failed", async () => {
  const lock = new KeyedLock();
  await assert.rejects(lock.run(["x"], () => Promise.reject(new Error("boom"))), /boom/);
  assert.equal(await lock.run(["x"], () => Promise.resolve("next")), "next");
});
