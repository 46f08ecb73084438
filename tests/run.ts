/**
 * The test runner (`deno task test [PATH…]`): unit tests first, side by side; then the examples of
 * docstrings; then the integration tests, one file after the other, each inside a private node whose
 * end removes whatever they created. Ends with one line that counts everything.
 */
import { basename, join } from "node:path";
import {
  furnishPrivateNode,
  inPrivateNode,
  privateNodeObstacle,
  spawnInPrivateNode,
} from "../mod/simulator/private_node.ts";
import { fetchParts } from "./support/fetch.ts";
import {
  type Count,
  count,
  countTests,
  denoTest,
  shown,
  succeedsWithin,
  sum,
} from "./support/test_runs.ts";
import { sources } from "./support/sources.ts";
import { traces } from "./support/traces.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const INTEGRATION = join(ROOT, "tests/integration");
const UNIT = [
  "mod",
  "deploy",
  "tests/architecture_test.ts",
  "tests/docs_test.ts",
  "tests/troubleshooting_test.ts",
  "tests/docstrings_test.ts",
  "tests/faults",
  "tests/fuzz",
  "tests/simulation",
]
  .map((path) => join(ROOT, path));
/** Several times what they take on two cores, so that only what hangs meets these limits. */
const UNIT_LIMIT_MINUTES = 25;
const FILE_LIMIT_MINUTES = 12;
/** Says to the inner run where its report goes. */
const REPORT = "NETWORK_DRA_TEST_REPORT";
/** Cgroups of end-to-end tests that run at the same time. */
const END_TO_END = /^\/sys\/fs\/cgroup\/.*network-dra-(e2e|bench|transcript)-/;

/**
 * The tests below folders. `deno test FOLDER` passes over a folder that has a member of the workspace
 * below it, as mod has.
 */
async function unitFiles(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    if (path.endsWith(".ts")) {
      files.push(path);
      continue;
    }
    const entries = await Array.fromAsync(Deno.readDir(path));
    const below = entries.filter(({ name, isDirectory }) =>
      isDirectory || name.endsWith("_test.ts")
    );
    files.push(...await unitFiles(below.map(({ name }) => join(path, name)).sort()));
  }
  return files;
}

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
  return await denoTest(shown, {
    report,
    flags: ["--doc"],
    limitMinutes: UNIT_LIMIT_MINUTES,
  });
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
  console.log("\nintegration tests:");
  const before = await traces();
  const counts: Count[] = [];
  for (const file of files) counts.push(await integrationFile(file, folder));
  const left = (await traces()).filter((trace) =>
    !before.includes(trace) && !END_TO_END.test(trace)
  );
  for (const trace of left) console.log(`left behind on the machine: ${trace}`);
  const result = sum(counts);
  return { ...result, failed: result.failed + left.length };
}

/** Runs the tests of one file in a private node. */
async function integrationFile(file: string, folder: string): Promise<Count> {
  const name = basename(file);
  console.log(`\n${name}:`);
  const began = Date.now();
  const report = join(folder, `${name}.xml`);
  const node = spawnInPrivateNode(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", import.meta.filename!, file],
    env: { [REPORT]: report },
  });
  const result = await count(report, await succeedsWithin(node, FILE_LIMIT_MINUTES));
  console.log(`${name}: ${shown(result)} (${Math.round((Date.now() - began) / 1000)} s)`);
  return result;
}

/** Runs all tests, or those of some files. */
export async function runTests(paths: readonly string[] = []): Promise<Count> {
  const folder = await Deno.makeTempDir({ prefix: "network-dra-test-" });
  try {
    const integrations = await integrationFiles(paths);
    const units = await unitFiles(
      paths.length === 0 ? UNIT : paths.filter((path) => !path.startsWith(INTEGRATION)),
    );
    const counts: Count[] = [];
    if (units.length > 0) {
      const flags = ["--parallel"];
      counts.push(
        await denoTest(units, {
          report: join(folder, "unit.xml"),
          flags,
          limitMinutes: UNIT_LIMIT_MINUTES,
        }),
      );
    }
    if (paths.length === 0) counts.push(await examples(join(folder, "examples.xml")));
    counts.push(await integration(integrations, folder));
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
