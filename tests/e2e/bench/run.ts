/**
 * How fast pods with networks start (`deno task bench:e2e`): on real Kubernetes, each side against as
 * many pods without claims that start just before it; besides, pods whose claims get nothing attached
 * and an agent that attaches inside RunPodSandbox. The sides take turns, in several rounds; the
 * figures are medians. Nothing is asserted. `--rounds N`, `--sides TEXT` for those whose name holds it.
 */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { furnishPrivateNode, inPrivateNode } from "../../../mod/simulator/private_node.ts";
import { percentile } from "../../bench/statistics.ts";
import { removeCgroup } from "../../support/runtime_daemon.ts";
import { ProcessAgent } from "../agents/process_agent.ts";
import { Cluster } from "../cluster.ts";
import { endWithRunner, runInside } from "../inside.ts";
import { KUBERNETES } from "../kubernetes_programs.ts";
import { claim, pod, type RequestOptions } from "../objects.ts";
import { fetchParts, type Releases } from "../parts.ts";
import { difference, type ProcessorTime, processorTime } from "./processor_time.ts";
import { runs, Space } from "../space.ts";

const RELEASES: Releases = { kubernetes: KUBERNETES, runtime: "containerd 2.1" };
const CGROUP = "NETWORK_DRA_BENCH_CGROUP";
const { values: { rounds: ROUNDS, sides: WANTED } } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    sides: { type: "string", default: "" },
  },
});
/** What the slow plugin waits before it does its work, in seconds. */
const SLOW = 0.5;

/** The agent that serves a side: as it is, or one of those beside this file. */
type Agent = "agent" | "claims_only" | "attach_in_hook";

/** Pods that are started at once. */
interface Side {
  readonly name: string;
  readonly pods: number;
  readonly networks: readonly RequestOptions[];
  readonly by: Agent;
}

const ONE = [{ name: "lan", subnet: 1 }];
const FOUR = [1, 2, 3, 4].map((subnet) => ({ name: `lan-${subnet}`, subnet }));
const SLOWLY = [{ name: "lan", type: "slow", subnet: 1 }];

function sidesOf(by: Agent, suffix = ""): Side[] {
  return [
    { name: `50 pods with a network each${suffix}`, pods: 50, networks: ONE, by },
    { name: `50 pods with four networks each${suffix}`, pods: 50, networks: FOUR, by },
    { name: `16 pods with a slow network each${suffix}`, pods: 16, networks: SLOWLY, by },
  ];
}

const SIDES: readonly Side[] = [
  ...sidesOf("agent"),
  ...sidesOf("claims_only", ", nothing attached"),
  ...sidesOf("attach_in_hook", ", in the hook"),
].filter(({ name }) => name.includes(WANTED));
/** The greatest ratio to as many pods without claims that is aimed at. */
const GOALS: Readonly<Record<string, number>> = {
  "50 pods with a network each": 1.1,
  "50 pods with four networks each": 1.15,
  "16 pods with a slow network each": 1.5,
};
/** Before an agent's turn: one that runs on a node has done all of it before. */
const WARM_UP: Omit<Side, "by"> = { name: "warm-up", pods: 10, networks: ONE };

/** One start of all pods of a side. */
interface Start {
  /** Until all of them ran, in milliseconds. */
  readonly ms: number;
  readonly processors: ProcessorTime;
  /** Containers that were not created at first. */
  readonly failed: number;
}

/** Starts pods; afterwards they are gone. */
async function startPods(
  space: Space,
  agent: ProcessAgent,
  { pods, networks, by }: Omit<Side, "name">,
): Promise<Start> {
  const { cluster } = space;
  // Never twice the same: a watch may begin with what was there a moment ago.
  const names = Array.from({ length: pods }, () => `pod-${++started}`);
  const claims = networks.length > 0 ? (name: string) => [name] : () => [];
  for (const name of names.filter((each) => claims(each).length > 0)) {
    await space.apply(claim(name, networks));
  }
  const running = allRun(space, names);
  const before = await processorTime(agent.pid);
  const began = performance.now();
  await Promise.all(names.map((name) => space.apply(pod(name, { claims: claims(name) }))));
  const ms = await running - began;
  const processors = difference(await processorTime(agent.pid), before);
  if (by !== "claims_only") {
    for (const running of (await space.list("Pod")).slice(0, 3)) await space.networksOf(running);
  }
  const failed = await failures(space, new Set(names));
  await space.clear();
  await cluster.assertNothingLeft();
  // The kubelet does so once a minute only. Else that falls into the next side, or the one after it.
  await cluster.runtime.cri.removeStoppedSandboxes();
  return { ms, processors, failed };
}

/** How often the kubelet could not create a container of these pods. */
async function failures(space: Space, pods: ReadonlySet<string>): Promise<number> {
  const events = (await space.list("Event")).filter(({ reason, involvedObject }) =>
    reason === "Failed" && pods.has(involvedObject.name)
  );
  return events.reduce((total, { count }) => total + (count ?? 1), 0);
}

/** How many pods there have been. */
let started = 0;

/** The time at which all of these pods run. */
async function allRun(space: Space, names: readonly string[]): Promise<number> {
  const ended = new AbortController();
  const missing = new Set(names);
  const { api } = space.cluster;
  const pods = api.watch({ kind: "Pod", namespace: space.namespace }, ended.signal);
  for await (const pod of pods) {
    if (runs(pod)) missing.delete(pod.metadata.name);
    if (missing.size === 0) break;
  }
  ended.abort();
  return performance.now();
}

/** A side and, just before it, as many pods without claims. */
interface Pair {
  readonly own: Start;
  readonly plain: Start;
}

async function rounds(space: Space, agent: ProcessAgent): Promise<Map<Side, Pair[]>> {
  const { cluster } = space;
  const before = `[ "$CNI_COMMAND" = ADD ] && sleep ${SLOW}`;
  await cluster.wrapPlugin("slow", { around: "macvlan", before });
  const taken = new Map(SIDES.map((side) => [side, [] as Pair[]]));
  // The first round only warms up.
  for (let round = 0; round <= Number(ROUNDS); round++) {
    // Each side comes early in one round and late in another; an agent keeps its turn together.
    for (const by of rotate(["agent", "claims_only", "attach_in_hook"] as const, round)) {
      const sides = rotate(SIDES.filter((side) => side.by === by), round);
      if (sides.length === 0) continue;
      await agent.end();
      const main = by === "agent" ? undefined : new URL(`${by}.ts`, import.meta.url).pathname;
      await agent.begin({ logLevel: "info", ...(main && { main }) });
      await startPods(space, agent, { ...WARM_UP, by });
      for (const side of sides) {
        const plain = await startPods(space, agent, { ...side, networks: [] });
        const own = await startPods(space, agent, side);
        console.log(
          `round ${round}: ${side.name}: ${inSeconds(own.ms)}, without claims ` +
            `${inSeconds(plain.ms)}: ${(own.ms / plain.ms).toFixed(2)} x` +
            (own.failed > 0 ? `; ${own.failed} times a container was not created at first` : ""),
        );
        if (round > 0) taken.get(side)!.push({ own, plain });
      }
    }
  }
  return taken;
}

function rotate<T>(items: readonly T[], by: number): T[] {
  return items.map((_, i) => items[(i + by) % items.length]!);
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function report(taken: ReadonlyMap<Side, readonly Pair[]>): void {
  const ratio = (pairs: readonly Pair[]) =>
    percentile(pairs.map(({ own, plain }) => own.ms / plain.ms), 50);
  const byName = new Map([...taken].map(([{ name }, pairs]) => [name, pairs]));
  console.log(
    `\n| until all run, median of ${ROUNDS} | with claims | without | ratio | least to most | goal | to nothing attached |`,
  );
  console.log("| --- | --- | --- | --- | --- | --- | --- |");
  for (const [{ name, by }, pairs] of taken) {
    const median = (which: keyof Pair) => percentile(pairs.map((pair) => pair[which].ms), 50);
    const ratios = pairs.map(({ own, plain }) => own.ms / plain.ms);
    const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
    const goal = GOALS[name] ? `at most ${GOALS[name].toFixed(2)} x` : "";
    const nothing = byName.get(`${name.split(",")[0]}, nothing attached`);
    const beside = by !== "claims_only" && nothing
      ? `${(ratio(pairs) / ratio(nothing)).toFixed(2)} x`
      : "";
    console.log(
      `| ${name} | ${inSeconds(median("own"))} | ${inSeconds(median("plain"))} | ` +
        `${ratio(pairs).toFixed(2)} x | ${spread} | ${goal} | ${beside} |`,
    );
  }
  reportProcessors(taken);
}

/** What the processors did, in seconds of their time: two of them spend two a second. */
function reportProcessors(taken: ReadonlyMap<Side, readonly Pair[]>): void {
  const PARTS = ["all", "idle", "apiServer", "plugins", "agent"] as const;
  console.log("\n| processor time, median | all | idle | API server | plugins | agent |");
  console.log("| --- | --- | --- | --- | --- | --- |");
  const row = (name: string, starts: readonly Start[]) => {
    const medians = PARTS.map((part) => {
      return `${percentile(starts.map(({ processors }) => processors[part]), 50).toFixed(1)} s`;
    });
    console.log(`| ${name} | ${medians.join(" | ")} |`);
  };
  const plain = Map.groupBy([...taken], ([{ pods }]) => pods);
  for (const [pods, sides] of plain) {
    row(`${pods} pods`, sides.flatMap(([, pairs]) => pairs.map((pair) => pair.plain)));
  }
  for (const [{ name }, pairs] of taken) row(name, pairs.map(({ own }) => own));
}

async function main(): Promise<number> {
  if (inPrivateNode()) {
    void endWithRunner();
    await furnishPrivateNode();
    let agent: ProcessAgent;
    const cluster = await Cluster.start({
      ...RELEASES,
      cgroup: Deno.env.get(CGROUP)!,
      startAgent: async (context) => agent = await ProcessAgent.start(context),
    });
    try {
      await Space.run(cluster, async (space) => report(await rounds(space, agent)));
    } finally {
      await cluster.stop();
    }
    return 0;
  }
  const obstacle = await fetchParts(RELEASES);
  if (obstacle) {
    console.error(`the benchmark cannot run here: ${obstacle}`);
    return 1;
  }
  console.log(`load of the machine before: ${loadavg().map((load) => load.toFixed(2)).join(" ")}`);
  const cgroup = `network-dra-bench-${crypto.randomUUID().slice(0, 8)}`;
  try {
    const env = { [CGROUP]: cgroup };
    return await runInside(import.meta.filename!, { env, print: console.log, args: Deno.args })
      ? 0
      : 1;
  } finally {
    for await (const { name } of Deno.readDir("/sys/fs/cgroup")) {
      await removeCgroup(`/sys/fs/cgroup/${name}/${cgroup}`);
    }
    await removeCgroup(`/sys/fs/cgroup/${cgroup}`);
  }
}

if (import.meta.main) Deno.exit(await main());
