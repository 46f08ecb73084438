import assert from "node:assert/strict";
import { settle } from "../../../tests/support/agent_fakes.ts";
import { NetworkLocks } from "./network_locks.ts";

Deno.test("NetworkLocks.use() goes side by side with its like, and after a GC of its network", async () => {
  const locks = new NetworkLocks();
  const log: string[] = [];
  const ends: Record<string, PromiseWithResolvers<void>> = {};
  const task = (name: string) => () => {
    log.push(name);
    return (ends[name] = Promise.withResolvers<void>()).promise;
  };
  const gc = locks.collect("lan", task("gc"));
  const uses = [locks.use("lan", task("a")), locks.use("lan", task("b"))];
  const other = locks.use("wan", task("other"));
  await settle();
  assert.deepEqual(log, ["gc", "other"]);
  ends.gc!.resolve();
  assert.equal(await gc, true);
  await settle();
  assert.deepEqual(log, ["gc", "other", "a", "b"]);
  for (const name of ["a", "b", "other"]) ends[name]!.resolve();
  await Promise.all([...uses, other]);
});

Deno.test("NetworkLocks.collect() does not run while its network is in use, nor twice at once", async () => {
  const locks = new NetworkLocks();
  const end = Promise.withResolvers<void>();
  const use = locks.use("lan", () => end.promise);
  assert.equal(await locks.collect("lan", () => assert.fail("it ran")), false);
  end.resolve();
  await use;
  const first = Promise.withResolvers<void>();
  const gc = locks.collect("lan", () => first.promise);
  assert.equal(await locks.collect("lan", () => assert.fail("it ran")), false);
  first.reject(new Error("no answer"));
  await assert.rejects(gc, /no answer/);
  // A GC that failed keeps nobody out.
  await locks.use("lan", () => Promise.resolve());
});
