import { CASES } from "./cases/all.ts";
import { Cluster } from "./cluster.ts";
import { Space } from "./space.ts";

const chosen = Object.entries(CASES).filter(([name]) => name.includes(Deno.args.join(" ")));

/** The runner chooses it, so that it can remove what a run that was broken off leaves. */
const CGROUP = "NETWORK_DRA_E2E_CGROUP";

let cluster: Cluster | undefined;

Deno.test.beforeAll(async () => {
  cluster = await Cluster.start(Deno.env.get(CGROUP)!);
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
