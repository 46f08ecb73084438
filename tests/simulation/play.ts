import { installFiles, mount } from "./deno_files.ts";
import { isHopeless, mayStay, type Plan, quietAfter } from "./plan.ts";
import { type Phase, type Problem, problemsOf } from "./quiet.ts";
import type { Violation } from "./trace.ts";
import { World } from "./world.ts";

/** Within this all must be as it shall be once nothing goes wrong any more, in milliseconds. */
const SETTLE_LIMIT = 150_000;
/** So long it may take until what the kubelet has forgotten, or could not be detached, is released. */
const FORGOTTEN_LIMIT = 5 * 60_000;
/** So long it may take until what cannot be detached is given up. */
const HOPELESS_LIMIT = 45 * 60_000;
/** How often it is looked. */
const LOOK = 3_000;

export interface Outcome {
  readonly seed: number;
  readonly operations: number;
  readonly steps: number;
  readonly digest: string;
  readonly violations: readonly Violation[];
}

let installed = false;

/**
 * Plays one run. To be called from outside of any microtask; nothing else may go on in the thread.
 *
 * @param keep is told every line of what happens
 */
export function play(plan: Plan, keep?: (line: string) => void): Outcome {
  if (!installed) installFiles();
  installed = true;
  mount((process, disk) => world.mounted(process, disk));
  const world = new World(plan, keep);
  const random = Math.random;
  Math.random = () => world.chance.draw("Math.random");
  try {
    playWorld(world);
  } catch (cause) {
    throw new Error(`run ${plan.seed} cannot be played to its end: ${cause}`, { cause });
  } finally {
    Math.random = random;
    mount(undefined);
  }
  const { trace, scheduler } = world;
  return {
    seed: plan.seed,
    operations: trace.operations,
    steps: scheduler.steps,
    digest: trace.digest(),
    violations: trace.violations,
  };
}

function playWorld(world: World): void {
  const { scheduler, trace } = world;
  const isWrong = () => trace.violations.length > 0;
  world.begin();
  scheduler.runUntil(isWrong, quietAfter(world.plan));
  for (const node of world.nodes) node.ensureAgent();
  settle(world, "quiet", SETTLE_LIMIT);
  if (isWrong()) return;
  world.isEmptying = true;
  for (const pod of world.pods.values()) world.remove(pod);
  settle(world, "empty", emptyLimit(world));
}

function emptyLimit({ plan, forgotten }: World): number {
  if (plan.claims.some(isHopeless)) return HOPELESS_LIMIT;
  const isLate = forgotten.size > 0 || plan.claims.some(mayStay);
  return isLate ? FORGOTTEN_LIMIT : SETTLE_LIMIT;
}

/** Until all is as it must be; what is not in time is a violation. */
function settle(world: World, phase: Phase, limit: number): void {
  const { scheduler, trace } = world;
  let problems: Problem[] = [];
  for (let waited = 0; waited < limit; waited += LOOK) {
    scheduler.runUntil(() => trace.violations.length > 0, LOOK);
    if (trace.violations.length > 0) return;
    problems = problemsOf(world, phase);
    if (phase === "empty") {
      for (const pod of world.pods.values()) {
        if (!pod.gone) problems.push({ invariant: "progress", what: `${pod.name} does not end` });
      }
    }
    if (problems.length === 0) {
      trace.note(phase);
      return;
    }
  }
  for (const { invariant, what } of problems) trace.violation(invariant, `${what} (${phase})`);
}
