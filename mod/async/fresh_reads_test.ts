import assert from "node:assert/strict";
import { settle } from "../../tests/support/agent_fakes.ts";
import { FreshReads } from "./fresh_reads.ts";
import { Limiter } from "./limiter.ts";

Deno.test("FreshReads.read() begins after it was asked for, and is shared by those that ask meanwhile", async () => {
  const reads = new FreshReads<number>(new Limiter(1));
  const ends: PromiseWithResolvers<number>[] = [];
  const read = () => {
    const end = Promise.withResolvers<number>();
    ends.push(end);
    return end.promise;
  };
  const first = [reads.read("a", read), reads.read("a", read)];
  await settle();
  assert.equal(ends.length, 1);
  // One that is under way may tell of what was so before.
  const later = [reads.read("a", read), reads.read("a", read)];
  await settle();
  assert.equal(ends.length, 1);
  ends[0]!.resolve(1);
  assert.deepEqual(await Promise.all(first), [1, 1]);
  await settle();
  assert.equal(ends.length, 2);
  ends[1]!.reject(new Error("no answer"));
  await assert.rejects(later[0]!, /no answer/);
  await assert.rejects(later[1]!, /no answer/);
  const again = reads.read("a", () => Promise.resolve(3));
  assert.equal(await again, 3);
});
