import { STARTS } from "./agents/all.ts";
import { CASES } from "./cases/all.ts";
import { Cluster } from "./cluster.ts";
import { Space } from "./space.ts";
import { fromEnvironment } from "./surroundings.ts";

/** What pods wait for is looked at after a few seconds, not after a minute and more. */
const SYNC_FREQUENCY = "5s";

const surroundings = fromEnvironment();
let cluster: Cluster | undefined;

Deno.test.beforeAll(async () => {
  const startAgent = STARTS[surroundings.agent];
  cluster = await Cluster.start({
    ...surroundings,
    nodes: surroundings.nodes === "2" ? 2 : 1,
    startAgent,
    syncFrequency: SYNC_FREQUENCY,
  });
});

Deno.test.afterAll(async () => {
  await cluster?.stop();
});

for (const name of JSON.parse(surroundings.cases) as string[]) {
  Deno.test({
    name,
    // The cluster lives from the first case to the last.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => Space.run(cluster!, CASES[name]!),
  });
}
