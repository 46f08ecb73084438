import assert from "node:assert/strict";
import type { Clock } from "./clock.ts";
import { FakeClock, settle } from "../../tests/support/agent_fakes.ts";
import { FIRST, Limiter, type Turn } from "./limiter.ts";

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

Deno.test("Limiter.runAside() takes no place, and begins one at a time while nobody waits for one", async () => {
  const limiter = new Limiter(1);
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const task = (name: string) => () => {
    begun.push(name);
    return new Promise<void>((resolve) => ends.set(name, resolve));
  };
  const never = new AbortController().signal;
  const all = [limiter.runAside(task("a"), never), limiter.run(task("1")), limiter.run(task("2"))];
  all.push(limiter.runAside(task("b"), never));
  await settle();
  // One that hangs keeps nobody from a place.
  assert.deepEqual(begun, ["1", "a"]);
  ends.get("a")!();
  await settle();
  assert.deepEqual(begun, ["1", "a"]);
  ends.get("1")!();
  await settle();
  assert.deepEqual(begun, ["1", "a", "2", "b"]);
  ends.get("2")!();
  ends.get("b")!();
  await Promise.all(all);
});

Deno.test("Limiter.runAside() lets go who waits and is told to", async () => {
  const limiter = new Limiter(1);
  const end = Promise.withResolvers<void>();
  const first = limiter.runAside(() => end.promise, new AbortController().signal);
  const over = new AbortController();
  const second = limiter.runAside(() => assert.fail("it ran"), over.signal);
  over.abort(new Error("enough"));
  await assert.rejects(second, /enough/);
  end.resolve();
  await first;
});

Deno.test("Limiter.run() hands on a task's failure, and its place", async () => {
  const limiter = new Limiter(1);
  await assert.rejects(limiter.run(() => Promise.reject(new Error("no"))), /no/);
  assert.equal(await limiter.run(() => Promise.resolve("next")), "next");
});

Deno.test("Limiter.run() lets others run beside tasks that only wait, up to so many", async () => {
  const clock = new FakeClock();
  const limiter = new Limiter(2, { clock, after: 100, most: 3 });
  const begun: number[] = [];
  const ends = Array.from({ length: 8 }, () => Promise.withResolvers<void>());
  const all = ends.map(({ promise }, i) =>
    limiter.run(() => {
      begun.push(i);
      return promise;
    })
  );
  await clock.advance(99);
  assert.equal(begun.length, 2);
  await clock.advance(1);
  assert.equal(begun.length, 4);
  await clock.advance(1_000);
  assert.equal(begun.length, 5, "three wait, and two have places");
  ends[0]!.resolve();
  await settle();
  assert.equal(begun.length, 5, "it had no place to give");
  ends[3]!.resolve();
  await settle();
  assert.equal(begun.length, 6);
  ends.forEach(({ resolve }) => resolve());
  await Promise.all(all);
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6, 7]);
  await limiter.run(() => Promise.resolve());
});

Deno.test("Limiter.run() lets in who has the lowest number when a place becomes free", async () => {
  const limiter = new Limiter(1);
  const end = Promise.withResolvers<void>();
  const begun: string[] = [];
  const early = limiter.drawNumber();
  const numbers = new Map([["late", limiter.drawNumber()], ["urgent", limiter.drawNumber()]]);
  const run = (name: string, turn?: Turn) =>
    limiter.run(() => {
      begun.push(name);
      return Promise.resolve();
    }, { turn });
  const all = [
    limiter.run(() => end.promise),
    run("without a number"),
    run("late", () => numbers.get("late")!),
    run("urgent", () => numbers.get("urgent")!),
    run("early", () => early),
  ];
  await settle();
  numbers.set("urgent", FIRST);
  end.resolve();
  await Promise.all(all);
  assert.deepEqual(begun, ["urgent", "early", "late", "without a number"]);
});

Deno.test("Limiter.run() gives a place on once when a task ends just as it was found waiting", async (t) => {
  for (let microtasks = 0; microtasks < 8; microtasks++) {
    await t.step(`${microtasks} microtasks after the clock`, async () => {
      let wake = () => {};
      const clock: Clock = {
        now: () => new Date(),
        elapsed: () => 0,
        sleep: (_, signal) =>
          new Promise<void>((resolve, reject) => {
            wake = resolve;
            signal?.addEventListener("abort", () => reject(signal.reason));
          }),
      };
      const limiter = new Limiter(1, { clock, after: 100, most: 4 });
      const end = Promise.withResolvers<void>();
      const first = limiter.run(() => end.promise);
      await settle();
      wake();
      for (let i = 0; i < microtasks; i++) await Promise.resolve();
      end.resolve();
      await first;
      let [running, most] = [0, 0];
      await Promise.all(Array.from({ length: 5 }, () =>
        limiter.run(async () => {
          most = Math.max(most, ++running);
          await settle();
          running--;
        })));
      assert.equal(most, 1);
    });
  }
});

Deno.test("Limiter.run() keeps to the most that give their places away when several are found waiting at once", async () => {
  const wakes: (() => void)[] = [];
  const sleep = () => new Promise<void>((resolve) => void wakes.push(resolve));
  const limiter = new Limiter(3, {
    clock: { now: () => new Date(), elapsed: () => 0, sleep },
    after: 100,
    most: 1,
  });
  const begun: number[] = [];
  const ends = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const all = ends.map(({ promise }, i) =>
    limiter.run(() => {
      begun.push(i);
      return promise;
    })
  );
  await settle();
  for (const wake of wakes.splice(0)) wake();
  await settle();
  assert.deepEqual(begun, [0, 1, 2, 3]);
  ends.forEach(({ resolve }) => resolve());
  await Promise.all(all);
});

Deno.test("Limiter.run() leaves the line when its signal is aborted, and lets the others go on", async () => {
  const limiter = new Limiter(1);
  const end = Promise.withResolvers<void>();
  const begun: string[] = [];
  const task = (name: string) => () => {
    begun.push(name);
    return Promise.resolve();
  };
  const over = new AbortController();
  const { signal } = over;
  const first = limiter.run(() => end.promise, { signal });
  const left = assert.rejects(limiter.run(task("left"), { signal }), /enough/);
  const next = limiter.run(task("next"));
  await settle();
  over.abort(new Error("enough"));
  await left;
  await assert.rejects(limiter.run(task("late"), { signal }), /enough/);
  assert.deepEqual(begun, []);
  end.resolve();
  await Promise.all([first, next]);
  assert.deepEqual(begun, ["next"]);
});

Deno.test("Limiter.runAside() begins when the last one who waits for a place has left", async () => {
  const limiter = new Limiter(1);
  const end = Promise.withResolvers<void>();
  const over = new AbortController();
  const first = limiter.run(() => end.promise);
  const left = limiter.run(() => assert.fail("it ran"), { signal: over.signal });
  const aside = limiter.runAside(() => Promise.resolve("done"), new AbortController().signal);
  over.abort(new Error("enough"));
  await assert.rejects(left, /enough/);
  assert.equal(await aside, "done");
  end.resolve();
  await first;
});
