/**
 * The kubelet's own DRA manager drives the agent: the agent and the CNI plugins are real, the runtime
 * and the API server are simulated.
 */
import assert from "node:assert/strict";
import { DRA_MANAGER } from "./cases/dra_manager.ts";
import { DraNode } from "./dra_node.ts";
import { fromEnvironment } from "./surroundings.ts";

const { kubernetes, cases } = fromEnvironment();
let node: DraNode | undefined;

Deno.test.beforeAll(async () => {
  node = await DraNode.start(kubernetes);
});

Deno.test.afterAll(async () => {
  await node?.stop();
});

for (const name of JSON.parse(cases) as string[]) {
  Deno.test({
    name,
    // The node lives from the first case to the last.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await DRA_MANAGER[name]!(node!);
      assert.deepEqual(await node!.leftovers(), []);
    },
  });
}
