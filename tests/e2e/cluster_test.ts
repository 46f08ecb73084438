import { CASES } from "./cases/all.ts";
import { Cluster } from "./cluster.ts";
import { Space } from "./space.ts";

const chosen = Object.entries(CASES).filter(([name]) => name.includes(Deno.args.join(" ")));

let cluster: Cluster;

Deno.test.beforeAll(async () => {
  const begun = performance.now();
  cluster = await Cluster.start();
  console.log(`the cluster is up after ${Math.round(performance.now() - begun) / 1000} s`);
});

Deno.test.afterAll(() => cluster.stop());

for (const [name, body] of chosen) {
  Deno.test({
    name,
    // The cluster lives from the first case to the last.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => Space.run(cluster, body),
  });
}
