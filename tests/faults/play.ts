import { join } from "node:path";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { ContainerdRuntime } from "./containerd_runtime.ts";
import type { Sabotage } from "./control.ts";
import { inject } from "./faults.ts";
import { Invariants, type MainNetwork } from "./invariants.ts";
import { Machine } from "./machine.ts";
import { Record } from "./record.ts";
import { type PodRuntime, SimulatedRuntime } from "./runtime.ts";
import { type Fault, type Life, type Round, schedule } from "./schedule.ts";
import { World } from "./world.ts";

export interface PlayOptions {
  readonly seed: number;
  /** Scheduled operations at least, with the simulated runtime. */
  readonly ops: number;
  /** So many more with containerd. */
  readonly containerdOps?: number;
  /** Where violations are written, and how far it is, line by line. */
  readonly write: (line: string) => void;
  /** How the agent is broken on purpose. Nothing else goes wrong then but what shows it. */
  readonly sabotage?: Sabotage;
  /** Ends the run early. */
  readonly enough?: (record: Record) => boolean;
  /** How long things may be wrong when all is quiet, in milliseconds. */
  readonly settleLimit?: number;
  /** A folder for what the agents log and what happened. */
  readonly logs?: string;
}

/** Faults that a real runtime does not lend itself to. */
const SIMULATED_ONLY: readonly string[] = ["nodeRebooted"];

/** Plays a run; to be called in a private node, with the agent bundled. */
export async function play(options: PlayOptions): Promise<Record> {
  const { seed, ops, containerdOps = 0, logs, write } = options;
  const keep = logs &&
    ((line: string) => Deno.writeTextFileSync(`${logs}/run.log`, `${line}\n`, { append: true }));
  const record = new Record({ seed, write, ...(keep && { keep }) });
  if (ops > 0) await playSimulated(record, options);
  if (containerdOps > 0) await playContainerd(record, options);
  return record;
}

async function playSimulated(record: Record, options: PlayOptions): Promise<void> {
  await withFolder(async (folder) => {
    const machine = new Machine();
    const runtime = new SimulatedRuntime(folder, (method) => {
      const what = `the runtime closed the agent, which did not answer ${method} in time`;
      // Where the harness itself gets no time to run, the agent cannot answer either.
      if (machine.overloaded) record.excuse(what);
      else record.violation("gate", what);
    });
    runtime.start();
    const world = await worldOf(runtime, { ...options, folder, record, machine });
    await playRounds(world, { ...options, until: options.ops });
    runtime.close();
    machine.close();
  });
}

async function playContainerd(record: Record, options: PlayOptions): Promise<void> {
  options.write(`${record.operations} operations done; now with containerd`);
  await withFolder(async (folder) => {
    const machine = new Machine();
    const started: { world?: World } = {};
    const runtime = await ContainerdRuntime.start({
      folder: join(folder, "ctd"),
      version: "2.1",
      isConnected: () => started.world?.agent?.synchronized ?? false,
    });
    const world = started.world = await worldOf(runtime, { ...options, folder, record, machine });
    await playRounds(world, {
      ...options,
      until: record.operations + (options.containerdOps ?? 0),
      main: { network: "main", bridge: "main0" },
      without: SIMULATED_ONLY,
    });
    await runtime.close();
    machine.close();
  });
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  await body(folder);
  await Deno.remove(folder, { recursive: true });
}

async function worldOf(
  runtime: PodRuntime,
  { folder, record, machine, sabotage, logs }: PlayOptions & {
    readonly folder: string;
    readonly record: Record;
    readonly machine: Machine;
  },
): Promise<World> {
  const [cniPath] = await fetchCniPlugins();
  return new World({ folder, runtime, cniPath: cniPath!, record, machine, sabotage, logs });
}

async function playRounds(
  world: World,
  { seed, until, sabotage, enough, settleLimit, main, without = [] }: PlayOptions & {
    readonly until: number;
    readonly main?: MainNetwork;
    readonly without?: readonly string[];
  },
): Promise<void> {
  const { record } = world;
  const invariants = await Invariants.of(world, { main, settleLimit });
  await world.start();
  await invariants.check();
  for (const round of schedule(seed)) {
    const faults = sabotage
      ? faultsBeside(sabotage, round)
      : round.faults.filter(({ kind }) => !without.includes(kind));
    await playRound(world, { ...round, faults }, invariants);
    if (round.number % 10 === 0) record.progress();
    if (enough?.(record) || record.operations >= until && round.drains) break;
  }
  record.crashes(world.agent.crashes);
  await world.stop();
}

/** What shows how the agent is broken: most shows without. */
function faultsBeside(sabotage: Sabotage, { faults }: Round): Fault[] {
  if (sabotage !== "lets containers start early") return [];
  // Killed while it attaches.
  return faults.slice(0, 2).flatMap((fault) => [
    { ...fault, kind: "pluginSlow", command: "ADD", after: 0 },
    { ...fault, kind: "agentKilled" },
  ]);
}

async function playRound(world: World, round: Round, invariants: Invariants): Promise<void> {
  const { record } = world;
  record.round++;
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
  for (const { life } of pods) noteOddities(record, life);
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
  world.addresses.end();
  for (const outcome of await Promise.allSettled(lives)) {
    if (outcome.status === "fulfilled") continue;
    record.violation("progress", `a pod's life broke off: ${outcome.reason}`);
  }
  world.agent.disarm();
  await world.agent.settled();
  await world.plugins.behave();
  await invariants.check();
}

/** What is odd in a pod's life counts as a fault too. */
function noteOddities(record: Record, { course, end, prepareTwice, unprepareTwice }: Life): void {
  if (course !== "usual") record.fault(course);
  if (end !== "usual" && course !== "preparedOnly" && course !== "stopWithoutRun") {
    record.fault(end);
  }
  if (prepareTwice) record.fault("prepareTwice");
  if (unprepareTwice) record.fault("unprepareTwice");
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
