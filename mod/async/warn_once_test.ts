import assert from "node:assert/strict";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import { WarnOnce } from "./warn_once.ts";

Deno.test("WarnOnce.say() warns of each problem once, and again when it comes back", () => {
  const log = new FakeLog();
  const problem = new WarnOnce(log);
  problem.say("first try", { error: "refused" });
  problem.say("second try", { error: "refused" });
  problem.say("third try", { error: "timed out" });
  problem.over();
  problem.say("later", { error: "timed out" });
  assert.deepEqual(log.lines, [
    "warn first try",
    "debug second try",
    "warn third try",
    "warn later",
  ]);
});
