import assert from "node:assert/strict";
import { FakeClock, settle } from "../../tests/support/agent_fakes.ts";
import { FreshReads } from "./fresh_reads.ts";
import { KeyedLock } from "./keyed_lock.ts";
import { Limiter } from "./limiter.ts";

const never = new AbortController().signal;

function aReader(limitMs = 1_000) {
  const clock = new FakeClock();
  const locks = new KeyedLock({ clock });
  const turn = { signal: never, limitMs };
  const reads = new FreshReads<number>({ limiter: new Limiter(1), locks, turn });
  return { clock, locks, reads, turn };
}

Deno.test("FreshReads.read() begins after it was asked for, and is shared by those that ask meanwhile", async () => {
  const { reads } = aReader();
  const ends: PromiseWithResolvers<number>[] = [];
  const read = () => {
    const end = Promise.withResolvers<number>();
    ends.push(end);
    return end.promise;
  };
  const first = [reads.read("a", read, never), reads.read("a", read, never)];
  await settle();
  assert.equal(ends.length, 1);
  // One that is in progress may tell of what was so before.
  const later = [reads.read("a", read, never), reads.read("a", read, never)];
  await settle();
  assert.equal(ends.length, 1);
  ends[0]!.resolve(1);
  assert.deepEqual(await Promise.all(first), [1, 1]);
  await settle();
  assert.equal(ends.length, 2);
  ends[1]!.reject(new Error("no answer"));
  await assert.rejects(later[0]!, /no answer/);
  await assert.rejects(later[1]!, /no answer/);
  const again = reads.read("a", () => Promise.resolve(3), never);
  assert.equal(await again, 3);
});

Deno.test("FreshReads.read() lets one go that gives up, and the others have its read", async () => {
  const { reads } = aReader();
  const end = Promise.withResolvers<number>();
  const gone = new AbortController();
  const [first, second] = [gone.signal, never].map((signal) =>
    reads.read("a", () => end.promise, signal)
  );
  gone.abort(new Error("the sandbox has stopped"));
  await assert.rejects(first!, /the sandbox has stopped/);
  end.resolve(7);
  assert.equal(await second, 7);
});

Deno.test("FreshReads.read() that gets no turn in time says so, and the next one reads", async () => {
  const { reads, locks, clock, turn } = aReader(1_000);
  const busy = Promise.withResolvers<void>();
  const holder = locks.run(["a"], () => busy.promise, turn);
  const refused = assert.rejects(reads.read("a", () => Promise.resolve(1), never), {
    name: "NoTurnError",
  });
  await clock.advance(1_000);
  await refused;
  busy.resolve();
  await holder;
  assert.equal(await reads.read("a", () => Promise.resolve(2), never), 2);
});
