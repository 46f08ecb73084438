/**
 * The fault tests (`deno task faults --ops N --seed S`): the agent as a process of its own, with
 * real CNI plugins in a private node, under a random schedule that the seed determines. Ends with
 * the line `violations: N`; the exit code is 0 when N is.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import {
  furnishPrivateNode,
  inPrivateNode,
  privateNodeObstacle,
  spawnInPrivateNode,
} from "../../mod/simulator/private_node.ts";
import { fetchContainerd } from "../support/containerd.ts";
import { bundleAgent } from "./agent.ts";
import { ContainerdRuntime } from "./containerd_runtime.ts";
import { SABOTAGES } from "./control.ts";
import { inject } from "./faults.ts";
import { Invariants } from "./invariants.ts";
import { type Invariant, INVARIANTS, Record } from "./record.ts";
import { SimulatedRuntime } from "./runtime.ts";
import { CRASH_POINTS, type Round, schedule } from "./schedule.ts";
import { World } from "./world.ts";

const USAGE =
  `usage: deno task faults [--ops N] [--containerd N] [--seed S] [--sabotage HOW] [--logs FOLDER]

  --ops N          scheduled operations at least (500)
  --containerd N   so many more with a real containerd (0)
  --seed S         the schedule's seed; without it one is made up and said
  --sabotage HOW   breaks the agent on purpose: ${SABOTAGES.join(", ")}
  --logs FOLDER    keeps the agents' logs there`;

interface Options {
  readonly ops: number;
  readonly containerdOps: number;
  readonly seed: number;
  readonly sabotage?: typeof SABOTAGES[number];
  readonly logs?: string;
}

function readOptions(): Options {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      ops: { type: "string", default: "500" },
      containerd: { type: "string", default: "0" },
      seed: { type: "string" },
      sabotage: { type: "string" },
      logs: { type: "string" },
    },
  });
  const ops = Number(values.ops);
  const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const sabotage = SABOTAGES.find((each) => each === values.sabotage);
  const known = values.sabotage === undefined || sabotage !== undefined;
  const containerdOps = Number(values.containerd);
  if (!Number.isInteger(ops + containerdOps) || ops < 1 || !Number.isInteger(seed) || !known) {
    throw new Error(USAGE);
  }
  return { ops, containerdOps, seed, sabotage, logs: values.logs };
}

async function playRound(world: World, round: Round, invariants: Invariants): Promise<void> {
  const { record } = world;
  record.round = round.number;
  world.round = round;
  record.note(`round ${round.number} begins${round.drains ? ", and drains" : ""}`);
  world.clear();
  world.admit(round.born);
  const pods = round.born.map(({ pod }) => world.pods.get(pod)!);
  const leaving = round.ended.map((name) => world.pods.get(name)!);
  const lives = [
    ...pods.map(async (pod) => {
      await world.begin(pod);
      if (round.drains || pod.life.rounds === 0) await world.end(pod);
    }),
    ...leaving.map(async (pod) => {
      await pause(pod.life.pauses[0]!);
      await world.end(pod);
    }),
  ];
  const lasting: Promise<void>[] = [];
  for (const fault of round.faults) {
    await pause(fault.after);
    lasting.push(
      inject(world, fault).catch((error) => {
        record.violation("progress", `the fault ${fault.kind} does not come about: ${error}`);
      }),
    );
  }
  await Promise.all(lasting);
  // What waits for a call that may never come is over too.
  await world.plugins.behave();
  world.apiFaults.end();
  await Promise.all(lives);
  world.agent.disarm();
  await world.agent.settled();
  await world.plugins.behave();
  await invariants.check();
}

async function play(options: Options): Promise<Record> {
  const { seed, logs } = options;
  const record = new Record({
    seed,
    write: (line) => console.log(line),
    ...(logs && {
      keep: (line) => Deno.writeTextFileSync(`${logs}/run.log`, `${line}\n`, { append: true }),
    }),
  });
  await playOn("simulated", record, options);
  const { operations } = record;
  if (options.containerdOps > 0) {
    console.log(`${operations} operations done; now with containerd`);
    await playOn("containerd", record, { ...options, ops: operations + options.containerdOps });
  }
  return record;
}

/** Faults that a real runtime does not lend itself to. */
const SIMULATED_ONLY: readonly string[] = ["nodeRebooted"];

async function playOn(
  kind: "simulated" | "containerd",
  record: Record,
  { ops, seed, sabotage, logs }: Options,
): Promise<void> {
  const [cniPath] = await fetchCniPlugins();
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const started: { world?: World } = {};
  const runtime = kind === "simulated"
    ? new SimulatedRuntime(folder)
    : await ContainerdRuntime.start({
      folder: join(folder, "ctd"),
      version: "2.1",
      isConnected: () => started.world?.agent?.synchronized ?? false,
    });
  const world = started.world = new World({
    folder,
    runtime,
    cniPath: cniPath!,
    record,
    sabotage,
    logs,
  });
  const invariants = await Invariants.of(
    world,
    kind === "containerd" ? { network: "main", bridge: "main0" } : undefined,
  );
  await world.start();
  for (const round of schedule(seed)) {
    const faults = round.faults.filter((fault) =>
      kind === "simulated" || !SIMULATED_ONLY.includes(fault.kind)
    );
    await playRound(world, { ...round, faults }, invariants);
    if (round.number % 10 === 0) record.progress();
    if (record.operations >= ops && round.drains) break;
  }
  record.crashes(world.agent.crashes);
  await world.stop();
  await runtime.close();
}

function summarize(record: Record, { seed }: Options): void {
  const lines = (map: ReadonlyMap<string, number>) =>
    [...map].toSorted(([a], [b]) => a.localeCompare(b)).map(([key, n]) => `  ${key}: ${n}`);
  console.log(`\nseed: ${seed}`);
  console.log(`operations: ${record.operations} (${record.calls} calls), rounds: ${record.round}`);
  console.log(`faults: ${record.faultCount}\n${lines(record.faults).join("\n")}`);
  console.log(`the agent died where it was told to:\n${lines(record.crashPoints).join("\n")}`);
  const never = CRASH_POINTS.filter((point) => !record.crashPoints.has(point));
  if (never.length > 0) console.log(`  never: ${never.join(", ")}`);
  console.log("invariants checked:");
  for (const [key, text] of Object.entries(INVARIANTS) as [Invariant, string][]) {
    const violated = record.violated.get(key) ?? 0;
    console.log(`  ${text}: ${record.checks.get(key) ?? 0} times, ${violated} violations`);
  }
  console.log(`violations: ${record.violations}`);
}

async function main(): Promise<number> {
  const options = readOptions();
  if (inPrivateNode()) {
    void endWithInput();
    await furnishPrivateNode();
    const record = await play(options);
    summarize(record, options);
    return record.violations === 0 ? 0 : 1;
  }
  const obstacle = await privateNodeObstacle();
  if (obstacle !== undefined) {
    console.error(`the fault tests cannot run here: ${obstacle}`);
    return 1;
  }
  await fetchCniPlugins({ progress: console.error });
  if (options.containerdOps > 0) await fetchContainerd("2.1", { progress: console.error });
  await bundleAgent();
  if (options.logs) await Deno.mkdir(options.logs, { recursive: true });
  const args = ["run", "--allow-all", "--quiet", import.meta.filename!, ...Deno.args];
  if (!Deno.args.some((arg) => arg.startsWith("--seed"))) args.push(`--seed=${options.seed}`);
  return (await spawnInPrivateNode(Deno.execPath(), { args }).status).code;
}

/** The private node ends with the process that made it, whichever way that ends. */
async function endWithInput(): Promise<void> {
  const buffer = new Uint8Array(64);
  while (await Deno.stdin.read(buffer) !== null);
  Deno.exit(1);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

if (import.meta.main) Deno.exit(await main());
