/** What a run does, from its seed alone: a list of stimuli, each of which can be left out. */
import { Random } from "../faults/random.ts";
import { type FaultKind, FAULTS } from "./faults.ts";
import { ADDRESSED, type NetworkName } from "./networks.ts";

export interface PlannedNetwork {
  readonly request: string;
  /** The network's name in the configuration: one of its own for each request. */
  readonly network: string;
  readonly kind: NetworkName;
  /** Undefined: the agent gives one. */
  readonly ifName?: string;
}

export interface PlannedClaim {
  readonly name: string;
  /** Made for one pod. */
  readonly isTemplate: boolean;
  readonly networks: readonly PlannedNetwork[];
  /** Whether another driver has an entry in its status. */
  readonly withOther: boolean;
}

/** Whether one of its networks can never be attached. */
export function isHopeless(claim: PlannedClaim): boolean {
  return has(claim, "broken");
}

/** Whether what was attached of it may stay until all pods are to end. */
export function mayStay(claim: PlannedClaim): boolean {
  return isHopeless(claim) || has(claim, "clinging");
}

export function has({ networks }: PlannedClaim, kind: NetworkName): boolean {
  return networks.some((network) => network.kind === kind);
}

const ENDS = {
  usual: 8,
  stopTwice: 2,
  removeWithoutStop: 2,
  namespaceFirst: 2,
  unannounced: 2,
} as const;
export type End = keyof typeof ENDS;

/** What another network plugin does in the pod's namespace. */
export interface ForeignLink {
  readonly ifName: string;
  /** Before the sandbox is told of, or so many milliseconds after. */
  readonly after: number | "before";
  /** Removed so many milliseconds after. */
  readonly lasts: number;
}

export interface PlannedPod {
  readonly kind: "pod";
  readonly name: string;
  readonly node: number;
  readonly at: number;
  readonly claims: readonly string[];
  readonly containers: number;
  /** Whether its containers name the claims, so that CDI holds them. */
  readonly namesClaims: boolean;
  /** Milliseconds from its begin to its deletion. */
  readonly lives: number;
  /** When sandboxes are replaced, in milliseconds after its begin. */
  readonly replacedAt: readonly number[];
  readonly end: End;
  readonly foreign: readonly ForeignLink[];
  /** Its deletion does not wait for the node. */
  readonly isForced: boolean;
  /** Its kubelet unprepares all of its claims, whoever else uses them. */
  readonly unpreparesShared: boolean;
  readonly unprepareTwice: boolean;
  readonly prepareTwice: boolean;
}

export type Stimulus =
  | PlannedPod
  | {
    readonly kind: "fault";
    readonly at: number;
    readonly node: number;
    readonly fault: FaultKind;
    readonly lasts: number;
  }
  | {
    readonly kind: "crash";
    readonly at: number;
    readonly node: number;
    /** The number of the call at which it happens, counted from then on; 0: immediately. */
    readonly calls: number;
    /** Counted from the end of the next ADD. */
    readonly afterAdd: boolean;
    /** Milliseconds until it is started again. */
    readonly away: number;
  }
  /** The disk takes no result of an ADD, and the agent dies when the claim's status tells of it. */
  | {
    readonly kind: "crashBeforeRecord";
    readonly at: number;
    readonly node: number;
    readonly away: number;
  }
  | { readonly kind: "restart"; readonly at: number; readonly node: number; readonly away: number }
  | {
    readonly kind: "handover";
    readonly at: number;
    readonly node: number;
    readonly course: Handover;
    readonly lasts: number;
  }
  | {
    readonly kind: "runtimeRestart";
    readonly at: number;
    readonly node: number;
    readonly away: number;
  }
  | { readonly kind: "disconnect"; readonly at: number; readonly node: number }
  | {
    readonly kind: "kubeletRestart";
    readonly at: number;
    readonly node: number;
    readonly forgets: boolean;
  }
  | { readonly kind: "reboot"; readonly at: number; readonly node: number }
  | {
    readonly kind: "linkLost";
    readonly at: number;
    readonly node: number;
    readonly choice: number;
  }
  /** CHECK finds fault with what is whole, and the DELs of its repair fail. */
  | {
    readonly kind: "repairFails";
    readonly at: number;
    readonly node: number;
    readonly choice: number;
  }
  /** An ADD and its DEL fail, another plugin takes the interface's name, and the agent dies. */
  | {
    readonly kind: "nameTaken";
    readonly at: number;
    readonly node: number;
    readonly away: number;
  }
  | {
    readonly kind: "strangeUnprepare";
    readonly at: number;
    readonly node: number;
    readonly choice: number;
  }
  | {
    readonly kind: "recordDamaged";
    readonly at: number;
    readonly node: number;
    readonly choice: number;
  }
  /** The agent's state folder is lost, and the kubelet starts again. */
  | { readonly kind: "stateLost"; readonly at: number; readonly node: number }
  /** The confined agent, which someone has taken over, has a plugin run. */
  | { readonly kind: "hostileRequest"; readonly at: number; readonly node: number }
  /** Someone deletes the object of an address by hand. */
  | {
    readonly kind: "addressDeleted";
    readonly at: number;
    readonly node: number;
    readonly choice: number;
  }
  | {
    readonly kind: "clockSetBack";
    readonly at: number;
    readonly node: number;
    readonly by: number;
  };

const HANDOVERS = { usual: 6, newDies: 2, oldDies: 2, neverReady: 2, stays: 2 } as const;
export type Handover = keyof typeof HANDOVERS;

const RUNTIMES = { "containerd-1.7": 1, "containerd-2.1": 1, "cri-o": 1 } as const;
export type RuntimeKind = keyof typeof RUNTIMES;

export interface Plan {
  readonly seed: number;
  readonly nodes: number;
  readonly runtime: RuntimeKind;
  /** Whether a kubelet counts a claim that is being unprepared as prepared. */
  readonly joinsUnprepared: boolean;
  readonly concurrency: number;
  readonly repair: boolean;
  /** How many addresses the small pool of the cluster's network has. */
  readonly addresses: number;
  readonly claims: readonly PlannedClaim[];
  readonly stimuli: readonly Stimulus[];
}

/** How long new things come, in milliseconds. */
export const ACTIVE = 30_000;

/** When nothing goes wrong any more, in milliseconds. */
export function quietAfter({ stimuli }: Plan): number {
  const ends = stimuli.map((each) => each.at + (each.kind === "fault" ? each.lasts : 0));
  return Math.max(ACTIVE, ...ends) + 10_000;
}

const EVENTS = {
  fault: 30,
  crash: 16,
  restart: 4,
  handover: 6,
  runtimeRestart: 4,
  disconnect: 4,
  kubeletRestart: 6,
  reboot: 1,
  linkLost: 3,
  strangeUnprepare: 3,
  recordDamaged: 2,
  clockSetBack: 1,
  addressDeleted: 2,
  stateLost: 1,
  hostileRequest: 1,
  crashBeforeRecord: 2,
  repairFails: 3,
  nameTaken: 2,
} as const;

/** A pod without any peculiarity. */
export const PLAIN: Partial<PlannedPod> = {
  containers: 1,
  replacedAt: [],
  end: "usual",
  foreign: [],
  isForced: false,
  unpreparesShared: false,
  unprepareTwice: false,
  prepareTwice: false,
};

/**
 * The plan without what is named: kinds of stimuli, faults, networks or nodes, peculiarities of pods. So
 * one fault that is known does not hide others.
 */
export function leaveOut(plan: Plan, names: readonly string[]): Plan {
  if (names.length === 0) return plan;
  const plain = Object.entries(PLAIN).filter(([name]) => names.includes(name));
  const isKept = (stimulus: Stimulus) =>
    !names.includes(stimulus.kind) &&
    !(stimulus.kind === "fault" && names.includes(stimulus.fault));
  return {
    ...plan,
    repair: plan.repair && !names.includes("repair"),
    joinsUnprepared: plan.joinsUnprepared && !names.includes("joinsUnprepared"),
    claims: plan.claims.map((claim) => ({
      ...claim,
      networks: claim.networks.map((network) =>
        names.includes(network.kind) ? { ...network, kind: "plain" } : network
      ),
    })),
    stimuli: plan.stimuli.filter(isKept).map((stimulus) =>
      stimulus.kind === "pod" ? { ...stimulus, ...Object.fromEntries(plain) } : stimulus
    ),
  };
}

/** A run's plan. */
export function planRun(seed: number): Plan {
  const random = new Random(seed);
  const nodes = random.chance(0.3) ? 2 : 1;
  const claims: PlannedClaim[] = [];
  const pods: PlannedPod[] = [];
  const isCalm = random.chance(0.15);
  for (let i = random.between(6, 16); i > 0; i--) {
    pods.push(drawPod(random.fork(), { name: `p${pods.length}`, nodes, claims }));
  }
  const stimuli: Stimulus[] = [...pods];
  const draw = random.fork();
  for (let i = isCalm ? 0 : draw.between(2, 14); i > 0; i--) {
    stimuli.push(drawEvent(draw.fork(), nodes));
  }
  return {
    seed,
    nodes,
    runtime: random.weighted(RUNTIMES),
    joinsUnprepared: random.chance(0.5),
    concurrency: random.pick([1, 2, 4]),
    repair: random.chance(0.5),
    addresses: random.pick([3, 6, 6, 20]),
    claims,
    stimuli: stimuli.sort((a, b) => a.at - b.at),
  };
}

function drawPod(
  random: Random,
  { name, nodes, claims }: {
    readonly name: string;
    readonly nodes: number;
    readonly claims: PlannedClaim[];
  },
): PlannedPod {
  const shared = claims.filter(({ isTemplate }) => !isTemplate);
  const own: string[] = [];
  for (let i = random.pick([0, 1, 1, 1, 2]); i > 0; i--) {
    const isAddressed = claims.some((claim) => own.includes(claim.name) && has(claim, "addressed"));
    if (shared.length > 0 && random.chance(0.45)) {
      const claim = random.pick(shared);
      if (isAddressed && has(claim, "addressed")) continue;
      if (!own.includes(claim.name)) own.push(claim.name);
      continue;
    }
    const claim = drawClaim(random, { name: `${name}-c${i}`, isAddressed });
    claims.push(claim);
    own.push(claim.name);
  }
  const lives = random.pick([500, 3_000, 10_000, 60_000, 1e9]);
  return {
    kind: "pod",
    name,
    node: random.between(0, nodes - 1),
    at: random.between(0, ACTIVE - 8_000),
    claims: own,
    containers: random.pick([1, 1, 2]),
    namesClaims: random.chance(0.5),
    lives,
    replacedAt: random.chance(0.2) ? [random.between(200, 9_000)] : [],
    end: random.weighted(ENDS),
    foreign: random.chance(0.3) ? [drawForeign(random)] : [],
    isForced: random.chance(0.15),
    unpreparesShared: random.chance(0.1),
    unprepareTwice: random.chance(0.1),
    prepareTwice: random.chance(0.1),
  };
}

function drawForeign(random: Random): ForeignLink {
  return {
    ifName: random.pick(["net1", "net1", "net2", "foreign0"]),
    after: random.chance(0.6) ? "before" : random.between(0, 5_000),
    lasts: random.pick([3_000, 30_000, 1e9]),
  };
}

/** @param options.isAddressed whether the pod has an address of the cluster's network already */
function drawClaim(
  random: Random,
  { name, ...options }: { readonly name: string; readonly isAddressed: boolean },
): PlannedClaim {
  const isTemplate = random.chance(0.45);
  let { isAddressed } = options;
  return {
    name,
    isTemplate,
    networks: Array.from({ length: random.pick([1, 1, 2, 3]) }, (_, i) => {
      // A pod is told apart from another by what it has of a network: once.
      const kind = random.weighted(
        {
          plain: 20,
          bridged: 13,
          old: 8,
          tap: 5,
          unchecked: 3,
          addressed: isAddressed ? 0 : 10,
          exclusive: 5,
          verbose: 2,
          mapped: 1,
          broken: 0.15,
          clinging: 0.8,
        },
      );
      isAddressed ||= kind === "addressed";
      return {
        request: `r${i}`,
        network: kind === "addressed" ? ADDRESSED : `${kind}-${name}-${i}`,
        kind,
        // Two shared claims that come together need names that differ.
        ...(random.chance(isTemplate ? 0.4 : 0.8) &&
          { ifName: `i${name.replaceAll("-", "")}${i}` }),
      };
    }),
    withOther: random.chance(0.2),
  };
}

function drawEvent(random: Random, nodes: number): Stimulus {
  const kind = random.weighted(EVENTS);
  const base = { at: random.between(0, ACTIVE), node: random.between(0, nodes - 1) };
  const away = random.pick([10, 300, 1_500, 6_000]);
  switch (kind) {
    case "fault": {
      const lasts = random.pick([300, 2_000, 8_000, 8_000, 60_000]);
      const fault = random.weighted(FAULTS);
      // Two looks of CHECK are some seconds apart.
      return { ...base, kind, fault, lasts: fault === "checkLies" ? 30_000 : lasts };
    }
    case "crash":
      return {
        ...base,
        kind,
        away,
        ...random.pick([
          { calls: 0, afterAdd: false },
          { calls: random.between(1, 60), afterAdd: false },
          { calls: random.between(1, 12), afterAdd: true },
        ]),
      };
    case "restart":
    case "crashBeforeRecord":
    case "nameTaken":
    case "runtimeRestart":
      return { ...base, kind, away };
    case "handover": {
      const lasts = random.pick([100, 2_000, 10_000]);
      return { ...base, kind, course: random.weighted(HANDOVERS), lasts };
    }
    case "kubeletRestart":
      return { ...base, kind, forgets: random.chance(0.5) };
    case "disconnect":
    case "reboot":
    case "stateLost":
    case "hostileRequest":
      return { ...base, kind };
    case "linkLost":
    case "repairFails":
    case "strangeUnprepare":
    case "recordDamaged":
    case "addressDeleted":
      return { ...base, kind, choice: random.next() };
    case "clockSetBack":
      return { ...base, kind, by: random.between(1_000, 86_400_000) };
  }
}
