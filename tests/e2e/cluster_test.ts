import { CASES } from "./cases/all.ts";
import { Cluster } from "./cluster.ts";
import { Space } from "./space.ts";
import { fromEnvironment } from "./surroundings.ts";

const chosen = Object.entries(CASES).filter(([name]) => name.includes(Deno.args.join(" ")));

let cluster: Cluster | undefined;

Deno.test.beforeAll(async () => {
  cluster = await Cluster.start(fromEnvironment());
});

Deno.test.afterAll(async () => {
  await cluster?.stop();
});

for (const [name, body] of chosen) {
  Deno.test({
    name,
    // The cluster lives from the first case to the last.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => Space.run(cluster!, body),
  });
}
