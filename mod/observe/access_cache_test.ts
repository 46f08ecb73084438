import assert from "node:assert/strict";
import { FakeClock, settle } from "../../tests/support/agent_fakes.ts";
import type { Access } from "../agent/ports.ts";
import { AccessCache } from "./access_cache.ts";

function setUp(answer: (token: string, signal: AbortSignal) => Promise<Access>) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const review = (token: string, signal: AbortSignal) => {
    asked.push(token);
    return answer(token, signal);
  };
  return { clock, asked, cache: new AccessCache({ review }, { clock }) };
}

const allow = () => Promise.resolve<Access>({ kind: "allowed" });

Deno.test("AccessCache asks once for those that ask at the same time, and remembers for a minute", async () => {
  const { clock, asked, cache } = setUp(allow);
  await Promise.all(Array.from({ length: 100 }, () => cache.review("a")));
  await clock.advance(59_000);
  assert.deepEqual(await cache.review("a"), { kind: "allowed" });
  assert.deepEqual(asked, ["a"]);
  await clock.advance(2_000);
  await cache.review("a");
  assert.deepEqual(asked, ["a", "a"]);
});

Deno.test("AccessCache remembers a refusal for ten seconds only", async () => {
  for (const refusal of [{ kind: "unknown" }, { kind: "forbidden", user: "u" }] as const) {
    const { clock, asked, cache } = setUp(() => Promise.resolve(refusal));
    assert.deepEqual(await cache.review("a"), refusal);
    await clock.advance(9_000);
    await cache.review("a");
    await clock.advance(2_000);
    await cache.review("a");
    assert.equal(asked.length, 2);
  }
});

Deno.test("AccessCache does not remember that the API server was away", async () => {
  let away = true;
  const { asked, cache } = setUp(() => away ? Promise.reject(new Error("away")) : allow());
  await assert.rejects(cache.review("a"), { message: "away" });
  away = false;
  assert.deepEqual(await cache.review("a"), { kind: "allowed" });
  assert.equal(asked.length, 2);
});

Deno.test("AccessCache asks for four tokens at a time, for five seconds with the wait", async () => {
  let [running, most] = [0, 0];
  const { clock, asked, cache } = setUp((_, signal) => {
    most = Math.max(most, ++running);
    return new Promise((_, reject) =>
      signal.addEventListener("abort", () => {
        running--;
        reject(signal.reason);
      })
    );
  });
  const failed = Promise.allSettled(Array.from({ length: 50 }, (_, i) => cache.review(`${i}`)));
  await settle();
  assert.equal(asked.length, 4);
  await clock.advance(5_000);
  assert.ok((await failed).every(({ status }) => status === "rejected"));
  assert.deepEqual([running, most], [0, 4]);
});

Deno.test("AccessCache forgets the oldest beyond a thousand tokens", async () => {
  const { asked, cache } = setUp(allow);
  for (let i = 0; i <= 1_000; i++) await cache.review(`${i}`);
  await cache.review("1000");
  await cache.review("1");
  assert.equal(asked.length, 1_001);
  await cache.review("0");
  assert.equal(asked.length, 1_002);
});
