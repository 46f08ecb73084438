import assert from "node:assert/strict";
import { FakeClock } from "../../tests/support/agent_fakes.ts";
import { KeyedLock } from "./keyed_lock.ts";
import { Limiter } from "./limiter.ts";

const turn = { signal: new AbortController().signal, limitMs: 1_000 };

// tests/support/agent_fakes.ts has the order checked.
function locks() {
  const claims = new KeyedLock({ clock: new FakeClock(), rank: "claim" });
  return { claims, operations: new Limiter(1, undefined, "operation") };
}

Deno.test("a lock that is taken out of order fails the test, also where nobody has it", async (t) => {
  await t.step("a claim while a CNI operation runs", async () => {
    const { claims, operations } = locks();
    const wrong = operations.run(async () => {
      await Promise.resolve();
      await claims.run(["a"], () => Promise.resolve(), turn);
    });
    await assert.rejects(wrong, /lock order: "claim" is taken while "operation" is held/);
  });
  await t.step("a second claim while one is held", async () => {
    const { claims } = locks();
    const wrong = claims.run(["a"], () => claims.run(["b"], () => Promise.resolve(), turn), turn);
    await assert.rejects(wrong, /lock order: "claim" is taken while "claim" is held/);
  });
});

Deno.test("locks in their order are taken, and what a task began holds nothing after its end", async () => {
  const { claims, operations } = locks();
  const ended = Promise.withResolvers<void>();
  let begun: Promise<number> | undefined;
  await claims.run(["a"], () =>
    operations.run(() => {
      begun = ended.promise.then(() => claims.run(["b"], () => Promise.resolve(1), turn));
      return Promise.resolve();
    }), turn);
  ended.resolve();
  assert.equal(await begun, 1);
});
