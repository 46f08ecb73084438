import assert from "node:assert/strict";
import { askAgent } from "./agent_status.ts";
import { type ExecOutcome, type ExecPlace, type PodExec, ReadError } from "./ports.ts";

const POD = { namespace: "kube-system", name: "network-dra-x" };
const DOCUMENT = { version: 1, source: "agent", agents: [], attachments: [] };

function answering(outcome: Partial<ExecOutcome> | Error) {
  const asked: [ExecPlace, readonly string[]][] = [];
  const exec: PodExec = {
    exec: (place, command) => {
      asked.push([place, command]);
      return outcome instanceof Error
        ? Promise.reject(outcome)
        : Promise.resolve({ code: 0, stdout: "", stderr: "", ...outcome });
    },
  };
  return { exec, asked };
}

async function told(outcome: Partial<ExecOutcome> | Error) {
  return await askAgent(answering(outcome).exec, POD, AbortSignal.timeout(1_000));
}

Deno.test("askAgent() reads the status of an agent, also of one with which something is wrong", async () => {
  for (const code of [0, 3, 4]) {
    const found = await told({ code, stdout: JSON.stringify(DOCUMENT) });
    assert.deepEqual(found, { state: "told", document: DOCUMENT });
  }
  const { exec, asked } = answering({ stdout: JSON.stringify(DOCUMENT) });
  await askAgent(exec, POD, AbortSignal.timeout(1_000));
  assert.deepEqual(asked, [[
    { namespace: "kube-system", pod: "network-dra-x", container: "agent" },
    ["/network-dra", "status", "--output", "json"],
  ]]);
});

Deno.test("askAgent() says why an agent tells nothing", async () => {
  const why = async (outcome: Partial<ExecOutcome> | Error) => {
    const found = await told(outcome);
    return found.state === "untold" ? found.why : assert.fail("it was told");
  };
  assert.match(
    await why({ code: 2, stderr: 'network-dra: unknown command "status"\n' }),
    /network-dra-x is of an earlier release, which tells no status/,
  );
  assert.match(
    await why({ code: 1, stderr: "network-dra status: no\n" }),
    /failed: network-dra st/,
  );
  assert.match(await why({ code: 137 }), /it ended with code 137/);
  assert.match(await why({ stdout: "{" }), /is not JSON/);
  assert.match(await why({ stdout: "null" }), /has the version undefined/);
  assert.match(
    await why({ stdout: '{"version":2}' }),
    /version 2, and this program reads version 1/,
  );
  assert.equal(await why(new ReadError("forbidden", "you have no right")), "you have no right");
  await assert.rejects(told(new TypeError("a fault")), TypeError);
});
