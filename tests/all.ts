/**
 * All tests (`deno task test:all`): those of `task test`, then those of `task e2e`, for which
 * Kubernetes is built meanwhile. One line counts everything.
 */
import { fetchKubernetes, KUBERNETES } from "./e2e/kubernetes_programs.ts";
import { endToEnd } from "./e2e/run.ts";
import { runTests } from "./run.ts";
import { shown, sum } from "./support/test_runs.ts";

// What goes wrong here goes wrong again where the end-to-end tests ask for it, and is said there.
const built = fetchKubernetes(KUBERNETES, { progress: console.log }).catch(() => {});
const tests = await runTests();
await built;
const result = sum([tests, await endToEnd()]);
console.log(`\n${shown(result)}`);
Deno.exit(result.failed === 0 && tests.passed > 0 ? 0 : 1);
