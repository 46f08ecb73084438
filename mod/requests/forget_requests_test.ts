import assert from "node:assert/strict";
import { join } from "node:path";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import type { Clock } from "../async/clock.ts";
import { requestForget, serveForgetRequests } from "./forget_requests.ts";

/** Real, but in a hurry. */
const clock: Clock = {
  now: () => new Date(),
  elapsed: () => performance.now(),
  sleep: (_, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      setTimeout(resolve, 5);
    }),
};

async function withServer(
  forget: (claim: string) => Promise<string>,
  body: (folder: string) => Promise<void>,
) {
  const folder = await Deno.makeTempDir();
  const end = new AbortController();
  const log = new FakeLog();
  const served = serveForgetRequests(folder, { forget, clock, log, signal: end.signal });
  try {
    await body(folder);
  } finally {
    end.abort();
    await served;
    await Deno.remove(folder, { recursive: true });
  }
}

const request = (folder: string, claim: string, ms = 5_000) =>
  requestForget(folder, { claim, clock, signal: AbortSignal.timeout(ms) });

async function files(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(join(folder, "requests")))).map(({ name }) => name);
}

Deno.test("a request is carried out once and answered, and nothing stays of it", () => {
  const asked: string[] = [];
  const forget = (claim: string) => {
    asked.push(claim);
    return claim === "default/a"
      ? Promise.resolve("forgot it")
      : Promise.reject(new Error("it is in use"));
  };
  return withServer(forget, async (folder) => {
    assert.deepEqual(await request(folder, "default/a"), { done: true, message: "forgot it" });
    assert.deepEqual(await request(folder, "b"), { done: false, message: "it is in use" });
    assert.deepEqual(asked, ["default/a", "b"]);
    assert.deepEqual(await files(folder), []);
  });
});

Deno.test("without an agent a request waits for the next one", async () => {
  const folder = await Deno.makeTempDir();
  assert.equal(await request(folder, "default/a", 50), undefined);
  assert.equal((await files(folder)).length, 1);
  const end = new AbortController();
  const asked = await new Promise<string>((resolve) => {
    const forget = (claim: string) => {
      resolve(claim);
      return Promise.resolve("forgot it");
    };
    void serveForgetRequests(folder, { forget, clock, log: new FakeLog(), signal: end.signal });
  });
  assert.equal(asked, "default/a");
  while ((await files(folder)).some((name) => name.endsWith(".request.json"))) await clock.sleep(5);
  end.abort();
  await clock.sleep(5);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("what is not a request is answered with the reason, and answers that nobody takes are removed in time", () =>
  withServer(() => assert.fail("nothing was asked for"), async (folder) => {
    const path = join(folder, "requests");
    await Deno.mkdir(path, { recursive: true });
    await Deno.writeTextFile(join(path, "x.request.json"), "{}");
    const answer = join(path, "x.answer.json");
    while (!(await files(folder)).includes("x.answer.json")) await clock.sleep(5);
    assert.match(await Deno.readTextFile(answer), /"done":false,"message":".*names no claim"/);
    const past = new Date(Date.now() - 700_000);
    await Deno.utime(answer, past, past);
    while ((await files(folder)).length > 0) await clock.sleep(5);
  }));
