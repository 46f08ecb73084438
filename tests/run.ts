/**
 * The test runner (`deno task test [PATH…]`): unit tests first, side by side; then the examples of
 * docstrings; then the integration tests, one file after the other, inside a private node whose end unmakes whatever they made. Ends
 * with one line that counts everything.
 */
import { join } from "node:path";
import {
  furnishPrivateNode,
  inPrivateNode,
  privateNodeObstacle,
  spawnInPrivateNode,
} from "../mod/simulator/private_node.ts";
import { fetchParts } from "./support/fetch.ts";
import { type Count, count, countTests, denoTest, shown, sum } from "./support/test_runs.ts";
import { sources } from "./support/sources.ts";
import { traces } from "./support/traces.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const INTEGRATION = join(ROOT, "tests/integration");
const UNIT = [
  "mod",
  "deploy",
  "tests/architecture_test.ts",
  "tests/docstrings_test.ts",
  "tests/faults",
  "tests/fuzz",
  "tests/simulation",
]
  .map((path) => join(ROOT, path));
/** Has a private node of its own: the agents that it breaks on purpose leave theirs in disorder. */
const ALONE = join(INTEGRATION, "faults_test.ts");
/** Says to the inner run where its report goes. */
const REPORT = "NETWORK_DRA_TEST_REPORT";
/** Cgroups of end-to-end tests that run at the same time. */
const END_TO_END = /^\/sys\/fs\/cgroup\/.*network-dra-(e2e|bench)-/;

async function integrationFiles(paths: readonly string[]): Promise<string[]> {
  const asked = paths.filter((path) => path.startsWith(INTEGRATION));
  if (asked.length > 0) return asked;
  if (paths.length > 0) return [];
  const files: string[] = [];
  for await (const { name } of Deno.readDir(INTEGRATION)) {
    if (name.endsWith("_test.ts")) files.push(join(INTEGRATION, name));
  }
  return files.sort();
}

/** Runs the `@example`s of docstrings. */
async function examples(report: string): Promise<Count> {
  const files = await sources(join(ROOT, "mod"));
  const shown = files.filter(({ text }) => text.includes("@example")).map(({ path }) => path);
  console.log("\nexamples of docstrings:");
  return await denoTest(shown, { report, flags: ["--doc"] });
}

async function integration(files: readonly string[], folder: string): Promise<Count> {
  if (files.length === 0) return { passed: 0, failed: 0, skipped: 0 };
  const obstacle = await privateNodeObstacle();
  if (obstacle !== undefined) {
    const skipped = await countTests(files);
    console.log(`\nskipped the ${skipped} integration tests: ${obstacle}`);
    return { passed: 0, failed: 0, skipped };
  }
  await fetchParts(files);
  console.log(`\nintegration tests, in a private node:`);
  const before = await traces();
  const report = join(folder, "integration.xml");
  const { success } = await spawnInPrivateNode(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", import.meta.filename!, ...files],
    env: { [REPORT]: report },
  }).status;
  const result = await count(report, success);
  const left = (await traces()).filter((trace) =>
    !before.includes(trace) && !END_TO_END.test(trace)
  );
  for (const trace of left) console.log(`left behind on the machine: ${trace}`);
  return { ...result, failed: result.failed + left.length };
}

/** Runs all tests, or those of some files. */
export async function runTests(paths: readonly string[] = []): Promise<Count> {
  const folder = await Deno.makeTempDir({ prefix: "network-dra-test-" });
  try {
    const integrations = await integrationFiles(paths);
    const units = paths.length === 0 ? UNIT : paths.filter((path) => !path.startsWith(INTEGRATION));
    const counts: Count[] = [];
    if (units.length > 0) {
      const flags = ["--parallel"];
      counts.push(await denoTest(units, { report: join(folder, "unit.xml"), flags }));
    }
    if (paths.length === 0) counts.push(await examples(join(folder, "examples.xml")));
    counts.push(await integration(integrations.filter((path) => path !== ALONE), folder));
    counts.push(await integration(integrations.filter((path) => path === ALONE), folder));
    return sum(counts);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function main(): Promise<number> {
  const paths = Deno.args.map((path) => path.startsWith("/") ? path : join(Deno.cwd(), path));
  if (inPrivateNode()) {
    await furnishPrivateNode();
    const { failed } = await denoTest(paths, { report: Deno.env.get(REPORT)! });
    return failed === 0 ? 0 : 1;
  }
  const result = await runTests(paths);
  console.log(`\n${shown(result)}`);
  return result.failed === 0 && result.passed > 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
