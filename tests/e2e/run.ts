/**
 * The end-to-end tests (`deno task e2e [--all] [WORDS]`): the agent on real Kubernetes, in a private
 * node whose end unmakes whatever they made. `--all` runs them with each release of containerd, not
 * the newest only; WORDS choose cases by their names. Ends with one line that counts everything.
 */
import { join } from "node:path";
import {
  furnishPrivateNode,
  inPrivateNode,
  privateNodeObstacle,
  spawnInPrivateNode,
} from "../../mod/simulator/private_node.ts";
import {
  CONTAINERD,
  type ContainerdVersion,
  fetchContainerd,
  removeCgroup,
} from "../support/containerd.ts";
import { type Count, count, denoTest, sum } from "../support/test_runs.ts";
import { traces } from "../support/traces.ts";
import { CASES } from "./cases/all.ts";
import { fetchEtcd } from "./control_plane.ts";
import { fetchKubernetes, KUBERNETES } from "./kubernetes_programs.ts";
import { fromEnvironment, toEnvironment } from "./surroundings.ts";

const TESTS = new URL("cluster_test.ts", import.meta.url).pathname;
/** Cgroups of tests that run at the same time. */
const OTHER_TESTS = /^\/sys\/fs\/cgroup\/.*network-dra-/;

const all = Deno.args.includes("--all");
const words = Deno.args.filter((arg) => arg !== "--all");
const versions: ContainerdVersion[] = all
  ? Object.keys(CONTAINERD).reverse() as ContainerdVersion[]
  : ["2.1"];
let interrupted = false;

/** Brings what the tests need into the cache; gives why they cannot be run. */
async function fetchParts(): Promise<string | undefined> {
  const progress = (line: string) => console.log(line);
  const obstacle = await privateNodeObstacle();
  if (obstacle) return obstacle;
  const kubernetes = await fetchKubernetes({ progress });
  if ("missing" in kubernetes) return kubernetes.missing;
  await fetchEtcd({ progress });
  for (const version of versions) await fetchContainerd(version, { progress });
  return undefined;
}

async function endToEnd(): Promise<Count> {
  const obstacle = await fetchParts();
  if (obstacle) {
    const skipped = Object.keys(CASES).length * versions.length;
    console.log(`skipped the ${skipped} end-to-end tests: ${obstacle}`);
    return { passed: 0, failed: 0, skipped };
  }
  const counts: Count[] = [];
  for (const version of versions) {
    console.log(`\nwith Kubernetes ${KUBERNETES} and containerd ${version}:`);
    counts.push(await runWith(version));
    if (interrupted) break;
  }
  return sum(counts);
}

async function runWith(version: ContainerdVersion): Promise<Count> {
  const before = await traces();
  const folder = await Deno.makeTempDir({ prefix: "network-dra-e2e-" });
  try {
    const report = join(folder, "report.xml");
    const cgroup = `network-dra-e2e-${crypto.randomUUID().slice(0, 8)}`;
    const success = await runInside(toEnvironment({ report, cgroup, version }));
    const result = await count(report, success);
    const left = (await traces()).filter((trace) =>
      !before.includes(trace) && (trace.includes(cgroup) || !OTHER_TESTS.test(trace))
    );
    for (const trace of left) {
      console.log(`left behind on the machine: ${trace}`);
      // Namespaces end by themselves; cgroups do not.
      if (trace.endsWith(`/${cgroup}`)) await removeCgroup(trace);
    }
    return { ...result, failed: result.failed + left.length };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs the tests in a private node, which ends with them or when this process is told to end. */
async function runInside(env: Readonly<Record<string, string>>): Promise<boolean> {
  const inside = spawnInPrivateNode(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", import.meta.filename!, ...words],
    env,
  });
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const end = () => {
    interrupted = true;
    inside.kill("SIGKILL");
  };
  for (const signal of signals) Deno.addSignalListener(signal, end);
  const { success } = await inside.status;
  for (const signal of signals) Deno.removeSignalListener(signal, end);
  return success;
}

async function main(): Promise<number> {
  if (inPrivateNode()) {
    await furnishPrivateNode();
    const { report } = fromEnvironment();
    const { failed } = await denoTest([TESTS, "--", ...words], { report });
    return failed === 0 ? 0 : 1;
  }
  const { passed, failed, skipped } = await endToEnd();
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed === 0 ? 0 : 1;
}

try {
  Deno.exit(await main());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}
