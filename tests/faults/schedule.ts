/**
 * What a run does, from its seed alone: rounds of pods' lives and faults. Nothing that happens while
 * it runs changes it; only how the two meet in time differs from run to run.
 */
import { Random } from "./random.ts";

/** Networks that claims ask for; see networks.ts. */
export const NETWORKS = {
  macvlan: 5,
  bridge: 4,
  ptp: 3,
  old: 2,
  chain: 2,
  current: 3,
  scarce: 2,
  /** A Network of the cluster, with addresses. */
  addressed: 5,
} as const;
export type NetworkName = keyof typeof NETWORKS;

/** How a pod goes. Besides the usual, orders that runtimes and kubelets are known to come with. */
const ENDS = {
  usual: 8,
  stopTwice: 2,
  removeWithoutStop: 2,
  /** CRI-O's order. */
  namespaceFirst: 3,
  /** The sandbox is gone and no event said so. */
  unannounced: 2,
} as const;
export type End = keyof typeof ENDS;

/** How far a pod comes. */
const COURSES = {
  usual: 12,
  /** Its sandbox is replaced by a second one, and the old one is stopped again late. */
  replacedSandbox: 3,
  /** Stopped without ever having run. */
  stopWithoutRun: 1,
  /** Prepared and given up. */
  preparedOnly: 1,
  hostNetwork: 1,
} as const;
export type Course = keyof typeof COURSES;

export interface PlannedClaim {
  readonly name: string;
  /** Interface names are `<claim's letter><number>`: unique in a pod. */
  readonly networks: readonly { readonly interface: string; readonly network: NetworkName }[];
  /** Whether the allocation has a device of another driver, with an entry in the status. */
  readonly withOther: boolean;
}

export interface Life {
  readonly pod: string;
  readonly claims: readonly PlannedClaim[];
  /** Name of a pod of the same round whose first claim this one shares. */
  readonly sharesWith?: string;
  readonly course: Course;
  readonly end: End;
  readonly containers: number;
  /** Whether the containers name the claims, so that CDI holds them. */
  readonly namesClaims: boolean;
  /** The kubelet prepares again what is prepared. */
  readonly prepareTwice: boolean;
  readonly unprepareTwice: boolean;
  /** Milliseconds before each step, used in turn. */
  readonly pauses: readonly number[];
  /** How many rounds it lives on after its own. */
  readonly rounds: number;
}

/** Faults and how often each comes. */
const FAULTS = {
  agentKilled: 6,
  agentCrashes: 14,
  agentEnded: 2,
  runtimeRestarted: 3,
  runtimeConnectionDropped: 4,
  kubeletRestarted: 3,
  kubeletConnectionDropped: 2,
  kubeletSocketsRemoved: 1,
  strangeUnprepare: 3,
  apiDown: 3,
  apiSlow: 3,
  apiConflict: 3,
  apiThrottled: 3,
  apiFails: 4,
  apiUnauthorized: 2,
  apiWatchClosed: 2,
  /** Another node takes the same address first. */
  addressTakenFirst: 4,
  /** A create or delete of an address is done, and its answer is lost. */
  addressAnswerLost: 4,
  /** The API server has forgotten what the watches of addresses want to go on from. */
  addressWatchExpired: 3,
  /** Another node takes and frees addresses. */
  addressesElsewhere: 3,
  /** A second agent collects addresses, and sees no Node. */
  addressesCollected: 3,
  pluginFails: 8,
  pluginFailsAfterwards: 6,
  pluginHangs: 2,
  pluginKilled: 4,
  pluginHalfAnswer: 4,
  pluginSlow: 4,
  pluginGarbage: 3,
  pluginMissing: 3,
  pluginBusy: 3,
  diskFull: 3,
  diskReadOnly: 2,
  recordDamaged: 2,
  clockSetBack: 2,
  nodeRebooted: 1,
} as const;
export type FaultKind = keyof typeof FAULTS;
export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[];

/** Where an agent may be told to die; see agent_entry.ts. */
export const CRASH_POINTS = [
  "claim:before-write",
  "claim:after-write",
  "claim:after-rename",
  "claim:before-remove",
  "claim:after-remove",
  "intent:before-write",
  "intent:after-write",
  "intent:after-rename",
  "result:before-write",
  "result:after-write",
  "result:after-rename",
  "attachment:before-remove",
  "attachment:after-remove",
  "cdi:before-write",
  "cdi:after-rename",
  "cdi:after-remove",
  "attached:before-write",
  "attached:after-write",
  "attached:before-remove",
  "attached:after-remove",
  "add:before",
  "add:after",
  "del:before",
  "del:after",
  "address:before-create",
  "address:after-create",
  "address:before-delete",
  "address:after-delete",
  "status:before",
  "status:after",
] as const;
export type CrashPoint = typeof CRASH_POINTS[number];

export const PLUGIN_COMMANDS = ["ADD", "DEL", "VERSION", "CHECK", "STATUS", "GC"] as const;
export type PluginCommand = typeof PLUGIN_COMMANDS[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Milliseconds after the fault before, or after the round's begin. */
  readonly after: number;
  /** Milliseconds that it lasts, where it lasts. */
  readonly lasts: number;
  /** How many times a plugin or the API fails. */
  readonly times: number;
  readonly crashPoint: CrashPoint;
  readonly command: PluginCommand;
  /** For what is left to choose, such as which record or plugin. */
  readonly choice: number;
}

export interface Round {
  readonly number: number;
  readonly born: readonly Life[];
  /** Names of pods of earlier rounds that end in this one. */
  readonly ended: readonly string[];
  readonly faults: readonly Fault[];
  /** Whether all pods end, so that nothing may be left. */
  readonly drains: boolean;
}

/** Rounds without end. */
export function* schedule(seed: number): Generator<Round, never> {
  const random = new Random(seed);
  const living = new Map<string, { readonly life: Life; readonly until: number }>();
  for (let number = 1;; number++) {
    const draw = random.fork();
    const drains = number % 4 === 0;
    const born = drawLives(draw.fork(), number);
    const ended: string[] = [];
    for (const [pod, { until }] of living) if (drains || until <= number) ended.push(pod);
    for (const pod of ended) living.delete(pod);
    for (const life of born) {
      if (!drains && life.rounds > 0) living.set(life.pod, { life, until: number + life.rounds });
    }
    yield { number, born, ended, faults: drawFaults(draw.fork(), number), drains };
  }
}

function drawLives(random: Random, round: number): Life[] {
  const lives: Life[] = [];
  for (let i = random.between(5, 9); i > 0; i--) {
    const pod = `p${round}-${i}`;
    const course = random.weighted(COURSES);
    // A pod that shares has no other claims; the one that it shares with must run.
    const other = random.pick([undefined, ...lives]);
    const shares = other !== undefined && other.course === "usual" && !other.sharesWith &&
      course === "usual" && random.chance(0.35);
    const used = new Set<NetworkName>();
    const claims = Array.from(
      { length: shares ? 0 : random.chance(0.25) ? 2 : 1 },
      (_, n): PlannedClaim => ({
        name: `${pod}-c${n}`,
        networks: Array.from({ length: random.pick([1, 1, 2, 3]) }, (_, k) => ({
          interface: `${"abc"[n]}${k}`,
          network: drawNetwork(random, used),
        })),
        withOther: random.chance(0.3),
      }),
    );
    lives.push({
      pod,
      claims,
      ...(shares && { sharesWith: other.pod }),
      course,
      end: random.weighted(ENDS),
      containers: random.pick([1, 1, 2]),
      namesClaims: random.chance(0.7),
      prepareTwice: random.chance(0.2),
      unprepareTwice: random.chance(0.2),
      pauses: Array.from({ length: 6 }, () => random.chance(0.4) ? 0 : random.between(0, 250)),
      rounds: random.pick([0, 0, 0, 1, 1, 2]),
    });
  }
  return lives;
}

/** No pod has two interfaces in one network: some plugins cannot do that. */
function drawNetwork(random: Random, used: Set<NetworkName>): NetworkName {
  for (;;) {
    const network = random.weighted(NETWORKS);
    if (used.has(network)) continue;
    used.add(network);
    return network;
  }
}

/** Three rounds of eight have no fault that ends the agent, so that one process lives for a while. */
function drawFaults(random: Random, round: number): Fault[] {
  const faults: Fault[] = [];
  for (let i = random.between(8, 13); i > 0; i--) {
    let kind = random.weighted(FAULTS);
    const fatal = ["agentKilled", "agentCrashes", "agentEnded", "recordDamaged", "nodeRebooted"];
    if (round % 8 >= 5 && fatal.includes(kind)) kind = "pluginFails";
    faults.push({
      kind,
      after: random.between(0, 300),
      lasts: random.between(50, 900),
      times: random.between(1, 4),
      crashPoint: random.pick(CRASH_POINTS),
      command: random.weighted({ ADD: 6, DEL: 5, VERSION: 1, CHECK: 2, STATUS: 1, GC: 1 }),
      choice: random.next(),
    });
  }
  return faults;
}
