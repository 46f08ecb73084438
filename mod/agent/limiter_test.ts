import assert from "node:assert/strict";
import { settle } from "../../tests/support/agent_fakes.ts";
import { Limiter } from "./limiter.ts";

Deno.test("Limiter.run() runs at most its width at once, in the order they came", async () => {
  const limiter = new Limiter(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const all = ends.map(({ promise }, i) =>
    limiter.run(() => {
      begun.push(i);
      return promise;
    })
  );
  await settle();
  assert.deepEqual(begun, [0, 1]);
  ends[1]!.resolve();
  await settle();
  assert.deepEqual(begun, [0, 1, 2]);
  ends.forEach(({ resolve }) => resolve());
  await Promise.all(all);
  assert.deepEqual(begun, [0, 1, 2, 3, 4]);
});

Deno.test("Limiter.run() hands on a task's failure, and its place", async () => {
  const limiter = new Limiter(1);
  await assert.rejects(limiter.run(() => Promise.reject(new Error("no"))), /no/);
  assert.equal(await limiter.run(() => Promise.resolve("next")), "next");
});
