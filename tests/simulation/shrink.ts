import { PLAIN, type Plan, type PlannedPod, type Stimulus } from "./plan.ts";
import { play } from "./play.ts";

/** So many plays at the most. */
const PLAYS = 150;

/**
 * The shortest list of stimuli, and the simplest pods, found with which the run still breaks the same
 * invariant. As {@link play}, to be called from outside of any microtask.
 */
export function shrink(plan: Plan): Plan {
  const invariant = play(plan).violations[0]?.invariant;
  let left = PLAYS;
  const fails = (stimuli: readonly Stimulus[]) =>
    left-- > 0 && play({ ...plan, stimuli }).violations[0]?.invariant === invariant;
  const found = simplify(withoutParts(plan.stimuli, fails), fails);
  const used = new Set(found.flatMap((each) => each.kind === "pod" ? each.claims : []));
  return { ...plan, stimuli: found, claims: plan.claims.filter(({ name }) => used.has(name)) };
}

/** Delta debugging: leaves out halves, quarters, and so on, as long as it still fails. */
function withoutParts(
  stimuli: readonly Stimulus[],
  fails: (stimuli: readonly Stimulus[]) => boolean,
): readonly Stimulus[] {
  let found = stimuli;
  for (let size = Math.ceil(found.length / 2); size >= 1;) {
    let shorter: readonly Stimulus[] | undefined;
    for (let from = 0; from < found.length && !shorter; from += size) {
      const rest = [...found.slice(0, from), ...found.slice(from + size)];
      if (fails(rest)) shorter = rest;
    }
    if (shorter) found = shorter;
    else if (size === 1) break;
    else size = Math.ceil(size / 2);
  }
  return found;
}

function simplify(
  stimuli: readonly Stimulus[],
  fails: (stimuli: readonly Stimulus[]) => boolean,
): readonly Stimulus[] {
  let found = stimuli;
  for (const [i, stimulus] of found.entries()) {
    if (stimulus.kind !== "pod") continue;
    for (const change of Object.entries(PLAIN).map(([key, value]) => ({ [key]: value }))) {
      const [key] = Object.keys(change) as [keyof PlannedPod];
      const pod = found[i] as PlannedPod;
      if (JSON.stringify(pod[key]) === JSON.stringify(PLAIN[key])) continue;
      const simpler = found.with(i, { ...pod, ...change });
      if (fails(simpler)) found = simpler;
    }
  }
  return found;
}
