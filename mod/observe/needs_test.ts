import assert from "node:assert/strict";
import type { Lack } from "../agent/ports.ts";
import { Needs } from "./needs.ts";

const gone: Lack = { problem: "the socket /x does not exist", whatToDo: "enable it" };

/** Time that passes second by second, with a look in each: of which there are many in an hour. */
class LookingClock {
  #seconds = 0;
  needs: Needs | undefined;
  readonly now = () => new Date(this.#seconds * 1000);
  readonly elapsed = () => this.#seconds * 1000;
  readonly sleep = (_: number, signal?: AbortSignal) =>
    new Promise<void>((_, reject) =>
      signal!.addEventListener("abort", () => reject(signal!.reason))
    );

  get seconds(): number {
    return this.#seconds;
  }

  pass(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      this.#seconds++;
      this.needs!.look();
    }
  }
}

/** Needs "a" and "b" that a test sets, and what the log says of them, with the seconds. */
async function withNeeds(
  body: (
    bench: {
      readonly lacks: Record<string, Lack | undefined>;
      readonly clock: LookingClock;
      readonly needs: Needs;
      readonly said: () => string[];
    },
  ) => void,
) {
  const [clock, end] = [new LookingClock(), new AbortController()];
  const lines: string[] = [];
  const say = (level: string) => (message: string, about: Record<string, unknown> = {}) =>
    void lines.push(`${clock.seconds} ${[level, message, ...Object.values(about)].join("|")}`);
  const log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  const lacks: Record<string, Lack | undefined> = {};
  const needs = new Needs([
    { name: "a", met: "here", lack: () => lacks.a },
    { name: "b", met: "there", lack: () => lacks.b },
  ], { clock, log });
  clock.needs = needs;
  const said = () => lines.splice(0);
  lacks.a = gone;
  const running = needs.run(end.signal);
  try {
    body({ lacks, clock, needs, said });
  } finally {
    end.abort();
    await running;
  }
}

Deno.test("what is missing is said at once, after 30 s, every 5 minutes, and when it is there", () =>
  withNeeds(({ lacks, clock, needs, said }) => {
    const line = (waiting: string) => `warn|a: ${gone.problem}|enable it|${waiting}`;
    assert.deepEqual(said(), [`0 ${line("0s")}`]);
    assert.equal(needs.areMet("b"), true);
    assert.equal(needs.areMet("a", "b"), false);
    clock.pass(700);
    assert.deepEqual(said(), [
      `30 ${line("30s")}`,
      `330 ${line("5m30s")}`,
      `630 ${line("10m30s")}`,
    ]);
    lacks.a = undefined;
    clock.pass(1);
    assert.deepEqual(said(), ["701 info|a: here|11m41s", "701 info|ready"]);
    clock.pass(3600);
    assert.deepEqual(said(), []);
    lacks.a = gone;
    needs.look();
    assert.deepEqual(said(), [`4301 ${line("0s")}`]);
  }));

Deno.test("another problem is said soon, and problems that alternate at most every 10 s", () =>
  withNeeds(({ lacks, clock, said }) => {
    said();
    lacks.a = { problem: "refused", whatToDo: "start it" };
    clock.pass(12);
    assert.deepEqual(said(), ["10 warn|a: refused|start it|10s"]);
    for (let second = 0; second < 60; second++) {
      lacks.a = second % 2 ? gone : { problem: "refused", whatToDo: "start it" };
      clock.pass(1);
    }
    assert.ok(said().length <= 6);
  }));

Deno.test("what is usual for a while is not logged meanwhile, but is not ready", () =>
  withNeeds(({ lacks, clock, needs, said }) => {
    lacks.a = undefined;
    lacks.b = { problem: "not yet", whatToDo: "wait", usualFor: 15_000 };
    clock.pass(10);
    assert.deepEqual(said().slice(1), ["1 info|a: here|1s"]);
    assert.deepEqual(needs.checks(), [
      { name: "a", ok: true, says: "here" },
      { name: "b", ok: false, says: "not yet (for 9s): wait" },
    ]);
    lacks.b = undefined;
    needs.look();
    assert.deepEqual(said(), ["10 info|ready"], "what was not said to be missing");
    lacks.b = { problem: "not yet", whatToDo: "wait", usualFor: 15_000 };
    clock.pass(20);
    assert.deepEqual(said(), ["26 warn|b: not yet|wait|15s"]);
    lacks.b = { problem: "after a", whatToDo: "wait", usualFor: Infinity };
    clock.pass(1000);
    assert.deepEqual(said(), []);
  }));

Deno.test("nothing is said of what goes away once run() has ended", async () => {
  let needs!: Needs;
  let after!: () => string[];
  await withNeeds(({ needs: all, said }) => {
    [needs, after] = [all, said];
    said();
  });
  needs.look();
  assert.deepEqual(after(), []);
  assert.equal(needs.checks()[0]!.ok, false);
});
