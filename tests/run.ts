/**
 * The test runner (`deno task test [PATH…]`): unit tests first, side by side; then the integration
 * tests, one file after the other, inside a private node whose end unmakes whatever they made. Ends
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

const ROOT = new URL("..", import.meta.url).pathname;
const INTEGRATION = join(ROOT, "tests/integration");
const UNIT = [join(ROOT, "mod"), join(ROOT, "tests/architecture_test.ts")];
/** Says to the inner run where its report goes. */
const REPORT = "NETWORK_DRA_TEST_REPORT";

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** Runs `deno test` and counts from its report; a run that broke off counts as a failure. */
async function denoTest(paths: readonly string[], options: {
  readonly report: string;
  readonly flags?: readonly string[];
}): Promise<Count> {
  const flags = ["--allow-all", "--no-check", "--quiet", ...options.flags ?? []];
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["test", ...flags, `--junit-path=${options.report}`, ...paths],
    cwd: ROOT,
    stdin: "null",
  }).spawn().status;
  return await count(options.report, success);
}

async function count(report: string, success: boolean): Promise<Count> {
  const xml = await Deno.readTextFile(report).catch(() => "");
  const suites = xml.match(/<testsuites[^>]*>/)?.[0] ?? "";
  const number = (name: string) => Number(suites.match(new RegExp(` ${name}="(\\d+)"`))?.[1] ?? 0);
  const skipped = (xml.match(/<skipped/g) ?? []).length;
  const failed = number("failures") + number("errors");
  const passed = number("tests") - failed - skipped;
  // A crash, a leak or a file that does not load: no test may have failed, but the run did.
  return { passed, failed: success ? failed : Math.max(failed, 1), skipped };
}

/** The tests of a file that cannot run here, as far as they can be counted without running them. */
async function countTests(files: readonly string[]): Promise<number> {
  let tests = 0;
  for (const file of files) {
    tests += ((await Deno.readTextFile(file)).match(/\bDeno\.test(\.\w+)?\(/g) ?? []).length;
  }
  return tests;
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

async function integration(files: readonly string[], folder: string): Promise<Count> {
  if (files.length === 0) return { passed: 0, failed: 0, skipped: 0 };
  const obstacle = await privateNodeObstacle();
  if (obstacle !== undefined) {
    const skipped = await countTests(files);
    console.log(`\nskipped the ${skipped} integration tests: ${obstacle}`);
    return { passed: 0, failed: 0, skipped };
  }
  await fetchParts();
  console.log(`\nintegration tests, in a private node:`);
  const before = await traces();
  const report = join(folder, "integration.xml");
  const { success } = await spawnInPrivateNode(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", import.meta.filename!, ...files],
    env: { [REPORT]: report },
  }).status;
  const result = await count(report, success);
  const left = (await traces()).filter((trace) => !before.includes(trace));
  for (const trace of left) console.log(`left behind on the machine: ${trace}`);
  return { ...result, failed: result.failed + left.length };
}

/** What the integration tests could leave on the machine although their namespaces are gone. */
async function traces(): Promise<string[]> {
  const found: string[] = [];
  const folders = ["/sys/class/net", "/run/netns", "/var/lib/cni", "/var/run/cdi"];
  for (const controller of await list("/sys/fs/cgroup")) {
    folders.push(`/sys/fs/cgroup/${controller}`);
  }
  for (const folder of folders) {
    for (const name of await list(folder)) found.push(`${folder}/${name}`);
  }
  const mounts = await Deno.readTextFile("/proc/mounts");
  found.push(...mounts.split("\n").map((line) => `mount ${line.split(" ")[1]}`));
  return found;
}

async function list(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch {
    return [];
  }
}

async function main(): Promise<number> {
  const paths = Deno.args.map((path) => path.startsWith("/") ? path : join(Deno.cwd(), path));
  if (inPrivateNode()) {
    await furnishPrivateNode();
    const { failed } = await denoTest(paths, { report: Deno.env.get(REPORT)! });
    return failed === 0 ? 0 : 1;
  }
  const folder = await Deno.makeTempDir({ prefix: "network-dra-test-" });
  try {
    const integrations = await integrationFiles(paths);
    const units = paths.length === 0 ? UNIT : paths.filter((path) => !path.startsWith(INTEGRATION));
    const counts: Count[] = [];
    if (units.length > 0) {
      const flags = ["--parallel"];
      counts.push(await denoTest(units, { report: join(folder, "unit.xml"), flags }));
    }
    counts.push(await integration(integrations, folder));
    const sum = (key: keyof Count) => counts.reduce((total, each) => total + each[key], 0);
    const [passed, failed, skipped] = [sum("passed"), sum("failed"), sum("skipped")];
    console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
    return failed === 0 && passed > 0 ? 0 : 1;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main());
