/** The chart's policies on an API server that has no nodes. */
import { BEFORE_POLICIES, POLICIES } from "./cases/policies.ts";
import { PolicyPlane } from "./policy_plane.ts";
import { fromEnvironment } from "./surroundings.ts";

const { kubernetes, cases } = fromEnvironment();
let plane: PolicyPlane | undefined;

Deno.test.beforeAll(async () => {
  plane = await PolicyPlane.start(kubernetes, { before: BEFORE_POLICIES });
});

Deno.test.afterAll(async () => {
  await plane?.stop();
});

for (const name of JSON.parse(cases) as string[]) {
  Deno.test({
    name,
    // The control plane lives from the first case to the last.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => POLICIES[name]!(plane!),
  });
}
