/** The CDI file of a claim is there before the runtime can look for it: the agent as a process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AgentNode, DRIVER } from "../support/agent_node.ts";

Deno.test("when the runtime gets its answer for a sandbox, containers that name the claim can be created", async () => {
  await using node = await AgentNode.start();
  const late: string[] = [];
  for (let i = 0; i < 20; i++) {
    const pod = await node.prepare();
    await node.runtime.runPodSandbox(pod.sandbox);
    try {
      Deno.statSync(join(node.folder, "cdi", `${DRIVER}_${pod.claim.uid}.json`));
    } catch {
      late.push(pod.name);
    }
    node.pods.push(pod.sandbox);
    await node.stop(pod);
    assert.equal(await node.unprepare(pod), "");
  }
  assert.deepEqual(late, []);
});
