import assert from "node:assert/strict";
import { FakeClock, settle } from "../../tests/support/agent_fakes.ts";
import { KeyedLock } from "./keyed_lock.ts";

/** Waits for up to a second. */
const turn = { signal: new AbortController().signal, limitMs: 1_000 };

function aLock() {
  const clock = new FakeClock();
  return { clock, lock: new KeyedLock({ clock }) };
}

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

const tick = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("KeyedLock.run() lets tasks of one key run one after the other", async () => {
  const { lock } = aLock();
  const log: string[] = [];
  const [a, b] = [task(log, "a"), task(log, "b")];
  const done = [lock.run(["x"], a.run, turn), lock.run(["x", "y"], b.run, turn)];
  await tick();
  b.end();
  a.end();
  await Promise.all(done);
  assert.deepEqual(log, ["a begins", "a ends", "b begins", "b ends"]);
});

Deno.test("KeyedLock.run() lets tasks of different keys run side by side", async () => {
  const { lock } = aLock();
  const log: string[] = [];
  const [a, b] = [task(log, "a"), task(log, "b")];
  const done = [lock.run(["x"], a.run, turn), lock.run(["y"], b.run, turn)];
  await tick();
  assert.deepEqual(log, ["a begins", "b begins"]);
  a.end();
  b.end();
  await Promise.all(done);
});

Deno.test("KeyedLock.run() of batches in opposite order does not lock up", async () => {
  const { lock } = aLock();
  const results = await Promise.all([
    lock.run(["x", "y"], () => Promise.resolve(1), turn),
    lock.run(["y", "x"], () => Promise.resolve(2), turn),
    lock.run(["x", "x"], () => Promise.resolve(3), turn),
  ]);
  assert.deepEqual(results, [1, 2, 3]);
});

Deno.test("KeyedLock.run() goes on after a task that failed", async () => {
  const { lock } = aLock();
  await assert.rejects(lock.run(["x"], () => Promise.reject(new Error("boom")), turn), /boom/);
  assert.equal(await lock.run(["x"], () => Promise.resolve("next"), turn), "next");
});

Deno.test("KeyedLock.run() begins at once where nobody has its key", () => {
  const { lock } = aLock();
  let begun = false;
  void lock.run(["x"], () => Promise.resolve(begun = true), turn);
  assert.ok(begun);
});

Deno.test("KeyedLock.run() is fair: tasks get their turn in the order in which they came", async () => {
  const { lock } = aLock();
  const order: number[] = [];
  const tasks = Array.from(
    { length: 20 },
    (_, i) =>
      lock.run([i % 3 ? "x" : "y", "z"], async () => {
        await Promise.resolve();
        order.push(i);
      }, turn),
  );
  await Promise.all(tasks);
  assert.deepEqual(order, Array.from({ length: 20 }, (_, i) => i));
});

Deno.test("KeyedLock.run() that gives up leaves the line at once, and its task never runs", async (t) => {
  await t.step("when its signal is aborted", async () => {
    const { lock } = aLock();
    const log: string[] = [];
    const [a, b] = [task(log, "a"), task(log, "b")];
    const first = lock.run(["x"], a.run, turn);
    const gone = new AbortController();
    const refused = lock.run(["x", "y"], b.run, { ...turn, signal: gone.signal });
    const behind = lock.run(["y"], () => Promise.resolve("behind"), turn);
    gone.abort(new Error("the kubelet cancelled the call"));
    await assert.rejects(refused, /the kubelet cancelled the call/);
    // Who stood behind it need not wait for whom it waited for.
    assert.equal(await behind, "behind");
    a.end();
    await first;
    await settle();
    assert.deepEqual(log, ["a begins", "a ends"]);
  });
  await t.step("when it was aborted before it came", async () => {
    const { lock } = aLock();
    const log: string[] = [];
    await assert.rejects(
      lock.run(["x"], task(log, "a").run, {
        ...turn,
        signal: AbortSignal.abort(new Error("gone")),
      }),
      /gone/,
    );
    assert.deepEqual(log, []);
  });
  await t.step("when it is aborted in the moments in which its turn comes", async () => {
    const outcomes = new Set<string>();
    for (let moment = 0; moment < 8; moment++) {
      const { lock } = aLock();
      const gone = new AbortController();
      const first = lock.run(["x"], async () => {
        void (async () => {
          for (let i = 0; i < moment; i++) await Promise.resolve();
          gone.abort(new Error("gone"));
        })();
        await Promise.resolve();
      }, turn);
      let ran = false;
      const outcome = await lock.run(["x"], () => Promise.resolve(ran = true), {
        ...turn,
        signal: gone.signal,
      })
        .then(() => "done", () => "refused");
      await first;
      assert.equal(ran, outcome === "done");
      outcomes.add(outcome);
    }
    assert.deepEqual([...outcomes], ["refused", "done"]);
  });
  await t.step("when its time is over, while the first goes on", async () => {
    const { lock, clock } = aLock();
    const log: string[] = [];
    const a = task(log, "a");
    const first = lock.run(["x"], a.run, turn);
    const refused = assert.rejects(lock.run(["x"], task(log, "b").run, turn), {
      name: "NoTurnError",
    });
    await clock.advance(999);
    const later = lock.run(["x"], () => Promise.resolve("later"), turn);
    await clock.advance(1);
    await refused;
    a.end();
    await first;
    assert.equal(await later, "later");
    assert.deepEqual(log, ["a begins", "a ends"]);
  });
});
