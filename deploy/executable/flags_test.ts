import assert from "node:assert/strict";
import { flags, PLUGIN_COMMANDS } from "./flags.ts";

Deno.test("the plugin has the agent's permissions, and V8 as it is", () => {
  const agent = flags("agent");
  const kept = agent.filter((flag) => !flag.startsWith("--v8-flags="));
  assert.deepEqual(flags("plugin"), kept);
  assert.equal(kept.length, agent.length - 1);
});

Deno.test("commands of the node keep the agent's small heap", () => {
  for (const name of ["run", "status", "ready", "webhook"]) {
    assert.ok(!PLUGIN_COMMANDS.includes(name), name);
  }
});
