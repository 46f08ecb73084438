/**
 * How fast pods with networks start (`deno task bench:e2e`): on real Kubernetes, against pods without
 * networks, and against an agent that attaches inside RunPodSandbox. The sides take turns, in several
 * rounds; the figures are medians. Nothing is asserted.
 */
import { loadavg } from "node:os";
import { furnishPrivateNode, inPrivateNode } from "../../../mod/simulator/private_node.ts";
import { percentile } from "../../bench/statistics.ts";
import { removeCgroup } from "../../support/containerd.ts";
import { Cluster } from "../cluster.ts";
import { endWithRunner, runInside } from "../inside.ts";
import { KUBERNETES } from "../kubernetes_programs.ts";
import { claim, pod, type RequestOptions } from "../objects.ts";
import { fetchParts, type Releases } from "../parts.ts";
import { runs, Space } from "../space.ts";

const RELEASES: Releases = { kubernetes: KUBERNETES, containerd: "2.1" };
const CGROUP = "NETWORK_DRA_BENCH_CGROUP";
const IN_HOOK = new URL("attach_in_hook.ts", import.meta.url).pathname;
const ROUNDS = 5;
/** What the slow plugin waits before it does its work, in seconds. */
const SLOW = 0.5;

/** Pods that are started at once. */
interface Side {
  readonly name: string;
  readonly pods: number;
  readonly networks: readonly RequestOptions[];
  /** Whether by the agent that attaches inside RunPodSandbox. */
  readonly inHook?: boolean;
}

const ONE = [{ name: "lan", subnet: 1 }];
const FOUR = [1, 2, 3, 4].map((subnet) => ({ name: `lan-${subnet}`, subnet }));
const SLOWLY = [{ name: "lan", type: "slow", subnet: 1 }];

const SIDES: readonly Side[] = [
  { name: "50 pods", pods: 50, networks: [] },
  { name: "50 pods with a network each", pods: 50, networks: ONE },
  { name: "50 pods with four networks each", pods: 50, networks: FOUR },
  { name: "16 pods", pods: 16, networks: [] },
  { name: "16 pods with a slow network each", pods: 16, networks: SLOWLY },
  { name: "50 pods with a network each, in the hook", pods: 50, networks: ONE, inHook: true },
  { name: "50 pods with four networks each, in the hook", pods: 50, networks: FOUR, inHook: true },
  {
    name: "16 pods with a slow network each, in the hook",
    pods: 16,
    networks: SLOWLY,
    inHook: true,
  },
];
/** The greatest ratio to as many pods without networks that is aimed at. */
const GOALS: Readonly<Record<string, number>> = {
  "50 pods with a network each": 1.1,
  "50 pods with four networks each": 1.15,
  "16 pods with a slow network each": 1.5,
};

/** How long it takes until all pods run, in milliseconds. Afterwards they are gone. */
async function startPods(space: Space, { pods, networks }: Side): Promise<number> {
  const names = Array.from({ length: pods }, (_, i) => `pod-${i}`);
  const claims = networks.length > 0 ? (name: string) => [name] : () => [];
  for (const name of names.filter((each) => claims(each).length > 0)) {
    await space.apply(claim(name, networks));
  }
  const running = allRun(space, pods);
  const began = performance.now();
  await Promise.all(names.map((name) => space.apply(pod(name, { claims: claims(name) }))));
  const taken = await running - began;
  for (const running of (await space.list("Pod")).slice(0, 3)) await space.networksOf(running);
  await space.clear();
  await space.cluster.assertNothingLeft();
  return taken;
}

/** The time at which so many pods run. */
async function allRun(space: Space, count: number): Promise<number> {
  const ended = new AbortController();
  const running = new Set<string>();
  const { api } = space.cluster;
  const pods = api.watch({ kind: "Pod", namespace: space.namespace }, ended.signal);
  for await (const pod of pods) {
    if (runs(pod)) running.add(pod.metadata.name);
    if (running.size === count) break;
  }
  ended.abort();
  return performance.now();
}

async function rounds(space: Space): Promise<Map<Side, number[]>> {
  const { cluster } = space;
  const before = `[ "$CNI_COMMAND" = ADD ] && sleep ${SLOW}`;
  await cluster.wrapPlugin("slow", { around: "macvlan", before });
  const taken = new Map(SIDES.map((side) => [side, [] as number[]]));
  let inHook: boolean | undefined;
  // The first round only warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    // Each side comes early in one round and late in another; an agent keeps its turn together.
    const ours = rotate(SIDES.filter((side) => !side.inHook), round);
    const theirs = rotate(SIDES.filter((side) => side.inHook), round);
    for (const side of round % 2 ? [...theirs, ...ours] : [...ours, ...theirs]) {
      if (inHook !== !!side.inHook) {
        inHook = !!side.inHook;
        await cluster.agent.end();
        await cluster.startAgent({ logLevel: "info", ...(inHook && { main: IN_HOOK }) });
      }
      const ms = await startPods(space, side);
      console.log(`round ${round}: ${side.name}: ${(ms / 1000).toFixed(2)} s`);
      if (round > 0) taken.get(side)!.push(ms);
    }
  }
  return taken;
}

function rotate<T>(items: readonly T[], by: number): T[] {
  return items.map((_, i) => items[(i + by) % items.length]!);
}

function report(taken: ReadonlyMap<Side, readonly number[]>): void {
  const median = (name: string) => {
    const [, times] = [...taken].find(([side]) => side.name === name)!;
    return percentile(times, 50);
  };
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  console.log(
    `\n| until all run | median of ${ROUNDS} | least to most | without networks | goal |`,
  );
  console.log("| --- | --- | --- | --- | --- |");
  for (const [{ name, pods, networks }, times] of taken) {
    const spread = `${seconds(Math.min(...times))} to ${seconds(Math.max(...times))}`;
    const ratio = networks.length > 0
      ? `${(median(name) / median(`${pods} pods`)).toFixed(2)} x`
      : "";
    const goal = GOALS[name] ? `at most ${GOALS[name].toFixed(2)} x` : "";
    console.log(`| ${name} | ${seconds(median(name))} | ${spread} | ${ratio} | ${goal} |`);
  }
}

async function main(): Promise<number> {
  if (inPrivateNode()) {
    void endWithRunner();
    await furnishPrivateNode();
    const cluster = await Cluster.start({ ...RELEASES, cgroup: Deno.env.get(CGROUP)! });
    try {
      await Space.run(cluster, async (space) => report(await rounds(space)));
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
    return await runInside(import.meta.filename!, { env, print: console.log }) ? 0 : 1;
  } finally {
    for await (const { name } of Deno.readDir("/sys/fs/cgroup")) {
      await removeCgroup(`/sys/fs/cgroup/${name}/${cgroup}`);
    }
    await removeCgroup(`/sys/fs/cgroup/${cgroup}`);
  }
}

if (import.meta.main) Deno.exit(await main());
