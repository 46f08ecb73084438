/**
 * The end-to-end tests (`deno task e2e [--all | --with TEXT] [WORDS]`): the agent on real Kubernetes,
 * in private nodes whose end removes whatever they created. Several clusters share the cases, as each
 * waits most of the time. `--all` goes through the supported releases of Kubernetes and of container
 * runtimes too, with the main cases; `--with` through those whose names hold TEXT; WORDS choose cases
 * by their names. With each release of Kubernetes, its kubelet's DRA manager drives the agent without a
 * cluster too, and its API server judges by the chart's policies without nodes. Ends with one line that counts everything.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { furnishPrivateNode, inPrivateNode } from "../../mod/simulator/private_node.ts";
import { removeCgroup } from "../support/runtime_daemon.ts";
import { type Count, count, denoTest, shown, sum } from "../support/test_runs.ts";
import { traces } from "../support/traces.ts";
import type { AgentKind } from "./agents/agent.ts";
import { casesOf } from "./cases/all.ts";
import { MULTUS } from "./cases/multus.ts";
import { DRA_MANAGER } from "./cases/dra_manager.ts";
import { POLICIES } from "./cases/policies.ts";
import { endWithRunner, interrupted, runInside } from "./inside.ts";
import { KUBERNETES } from "./kubernetes_programs.ts";
import { fetchMultus } from "./multus_programs.ts";
import { fetchControlPlane, fetchDraManager, fetchParts, type Releases } from "./parts.ts";
import { fromEnvironment, toEnvironment } from "./surroundings.ts";
import { errorMessage } from "../../mod/async/error_message.ts";

const CLUSTER_TESTS = new URL("cluster_test.ts", import.meta.url).pathname;
const DRA_MANAGER_TESTS = new URL("dra_oracle_test.ts", import.meta.url).pathname;
const POLICY_TESTS = new URL("policies_test.ts", import.meta.url).pathname;
/** Cgroups of tests that run at the same time. */
const OTHER_TESTS = /^\/sys\/fs\/cgroup\/.*network-dra-/;
/** Clusters at the same time: this many keep two cores busy. */
const CLUSTERS = 3;

/** Several times what a share of the cases takes on two cores, so that only what hangs meets it. */
const SHARE_LIMIT_MINUTES = 30;

/** What the agent is tested with. */
interface Combination extends Releases {
  readonly agent: AgentKind;
  /** Whether only with the main cases. */
  readonly main: boolean;
}

const USUAL: Combination = {
  kubernetes: KUBERNETES,
  runtime: "containerd 2.1",
  agent: "DaemonSet",
  main: false,
};
const MAIN: Combination = { ...USUAL, main: true };
const FURTHER: readonly Combination[] = [
  { ...MAIN, agent: "process" },
  { ...MAIN, runtime: "containerd 1.7" },
  { ...MAIN, runtime: "containerd 2.4" },
  { ...MAIN, runtime: "CRI-O 1.34" },
  { ...MAIN, kubernetes: "1.34.4" },
  { ...MAIN, kubernetes: "1.37.2" },
];

export interface EndToEndOptions {
  readonly all?: boolean;
  /** Runs the combinations whose names hold this, of all. */
  readonly with?: string;
  /** Runs only the cases whose names hold this. */
  readonly words?: string;
}

/** Runs the tests, and says of each combination of releases what came of it. */
export async function endToEnd(
  { all = false, with: wanted, words = "" }: EndToEndOptions = {},
): Promise<Count> {
  const counts: Count[] = [];
  const lines: string[] = [];
  for (const [name, run] of jobsOf(all || wanted !== undefined ? [USUAL, ...FURTHER] : [USUAL])) {
    if (!name.includes(wanted ?? "")) continue;
    console.log(`\n${name}:`);
    const began = Date.now();
    const result = await run(words);
    counts.push(result);
    lines.push(`${name}: ${shown(result)} (${Math.round((Date.now() - began) / 1000)} s)`);
    if (interrupted()) break;
  }
  console.log(`\n${lines.join("\n")}`);
  return sum(counts);
}

/** Runs those of the tests whose names hold the words. */
type Run = (words: string) => Promise<Count>;

/**
 * The combinations, and after the first of each release of Kubernetes its kubelet's DRA manager and its
 * API server.
 */
function jobsOf(combinations: readonly Combination[]): Map<string, Run> {
  const jobs = new Map<string, Run>();
  for (const combination of combinations) {
    const { kubernetes, runtime, agent } = combination;
    const name = `Kubernetes ${kubernetes}, ${runtime}, agent as a ${agent}`;
    jobs.set(name, (words) => runWith(combination, words));
    jobs.set(
      `Kubernetes ${kubernetes}, the DRA manager alone`,
      (words) => runDraManager(combination, words),
    );
    jobs.set(
      `Kubernetes ${kubernetes}, the API server alone`,
      (words) => runPolicies(combination, words),
    );
  }
  return jobs;
}

async function runWith(combination: Combination, words: string): Promise<Count> {
  const shares = sharesOf(combination, words);
  const obstacle = await fetchParts(combination);
  const cases = shares.flatMap((share) => share.cases);
  if (obstacle) return skipped(cases, obstacle);
  if (cases.some((name) => name in MULTUS)) {
    const multus = await fetchMultus({ progress: console.log });
    if ("missing" in multus) console.log(multus.missing);
  }
  return await runShares(combination, { tests: CLUSTER_TESTS, shares });
}

async function runDraManager(combination: Combination, words: string): Promise<Count> {
  const cases = Object.keys(DRA_MANAGER).filter((name) => holds(name, words));
  if (cases.length === 0) return { passed: 0, failed: 0, skipped: 0 };
  const obstacle = await fetchDraManager(combination.kubernetes);
  if (obstacle) return skipped(cases, obstacle);
  return await runShares(combination, {
    tests: DRA_MANAGER_TESTS,
    shares: [{ nodes: "1", cases }],
  });
}

async function runPolicies(combination: Combination, words: string): Promise<Count> {
  const cases = Object.keys(POLICIES).filter((name) => holds(name, words));
  if (cases.length === 0) return { passed: 0, failed: 0, skipped: 0 };
  const obstacle = await fetchControlPlane(combination.kubernetes);
  if (obstacle) return skipped(cases, obstacle);
  return await runShares(combination, { tests: POLICY_TESTS, shares: [{ nodes: "1", cases }] });
}

function skipped(cases: readonly string[], obstacle: string): Count {
  console.log(`skipped the ${cases.length} end-to-end tests: ${obstacle}`);
  return { passed: 0, failed: 0, skipped: cases.length };
}

function holds(name: string, words: string): boolean {
  return name.toLowerCase().includes(words.toLowerCase());
}

/** Runs each share of the cases in its own private node; what they leave counts as failed. */
async function runShares(
  combination: Combination,
  { tests, shares }: { readonly tests: string; readonly shares: readonly Share[] },
): Promise<Count> {
  const before = await traces();
  const cgroup = `network-dra-e2e-${crypto.randomUUID().slice(0, 8)}`;
  const running = shares.map((share, n) =>
    runShare(combination, { ...share, tests, cgroup: `${cgroup}-${n}`, mark: `${n + 1}` })
  );
  const result = sum(await Promise.all(running));
  const left = (await traces()).filter((trace) =>
    !before.includes(trace) && (trace.includes(cgroup) || !OTHER_TESTS.test(trace))
  );
  for (const trace of left) {
    console.log(`left behind on the machine: ${trace}`);
    // Namespaces end by themselves; cgroups do not.
    if (trace.startsWith("/sys/fs/cgroup") && trace.includes(cgroup)) await removeCgroup(trace);
  }
  return { ...result, failed: result.failed + left.length };
}

/** The cases of a cluster, and how many nodes it has. */
interface Share {
  readonly nodes: "1" | "2";
  readonly cases: readonly string[];
}

/** @param words in the cases' names */
function sharesOf(combination: Combination, words: string): Share[] {
  const { one, two } = casesOf(combination);
  const chosen = (names: readonly string[]) => names.filter((name) => holds(name, words));
  const cases = chosen(one);
  const clusters = Math.min(CLUSTERS, Math.ceil(cases.length / 4));
  const shares: Share[] = Array.from({ length: clusters }, (_, n) => {
    return { nodes: "1", cases: cases.filter((_, i) => i % clusters === n) };
  });
  return chosen(two).length > 0 ? [...shares, { nodes: "2", cases: chosen(two) }] : shares;
}

/** Runs some of the cases; each line of the output begins with the mark. */
async function runShare(
  { kubernetes, runtime, agent }: Combination,
  { tests, nodes, cases, cgroup, mark }: Share & {
    readonly tests: string;
    readonly cgroup: string;
    readonly mark: string;
  },
): Promise<Count> {
  const folder = await Deno.makeTempDir({ prefix: "network-dra-e2e-" });
  try {
    const report = join(folder, "report.xml");
    const env = {
      ...{ tests, report, cgroup, kubernetes, runtime, agent, nodes },
      cases: JSON.stringify(cases),
    };
    const success = await runInside(import.meta.filename!, {
      env: toEnvironment(env),
      print: (line) => console.log(`${mark}  ${line}`),
      limitMinutes: SHARE_LIMIT_MINUTES,
    });
    return await count(report, success);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function main(): Promise<number> {
  if (inPrivateNode()) {
    void endWithRunner();
    await furnishPrivateNode();
    const { tests, report } = fromEnvironment();
    const { failed } = await denoTest([tests], { report });
    return failed === 0 ? 0 : 1;
  }
  const { values, positionals } = parseArgs({
    args: Deno.args,
    options: { all: { type: "boolean" }, with: { type: "string" } },
    allowPositionals: true,
  });
  const result = await endToEnd({ ...values, words: positionals.join(" ") });
  console.log(`\n${shown(result)}`);
  return result.failed === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exit(await main());
  } catch (error) {
    console.error(errorMessage(error));
    Deno.exit(1);
  }
}
