import { CASES } from "./cases/all.ts";
import { Cluster } from "./cluster.ts";
import { Space } from "./space.ts";
import { fromEnvironment } from "./surroundings.ts";

const surroundings = fromEnvironment();
let cluster: Cluster | undefined;

Deno.test.beforeAll(async () => {
  cluster = await Cluster.start(surroundings);
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
