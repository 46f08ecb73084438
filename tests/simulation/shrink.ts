import { PLAIN, type Plan, type PlannedClaim, type PlannedPod, type Stimulus } from "./plan.ts";
import { play } from "./play.ts";

/** So many plays at the most. */
const PLAYS = 200;

/**
 * The shortest list of stimuli, and the simplest pods and claims, found with which the run still breaks
 * the same invariant. As {@link play}, to be called from outside of any microtask.
 */
export function shrink(plan: Plan): Plan {
  const invariant = play(plan).violations[0]?.invariant;
  let left = PLAYS;
  const fails = (shorter: Plan) =>
    left-- > 0 && play(shorter).violations[0]?.invariant === invariant;
  const found = simplify(withoutParts(plan, fails), fails);
  return { ...found, claims: usedClaims(found) };
}

/** Delta debugging: leaves out halves, quarters, and so on, as long as it still fails. */
function withoutParts(plan: Plan, fails: (shorter: Plan) => boolean): Plan {
  let found = plan;
  for (let size = Math.ceil(found.stimuli.length / 2); size >= 1;) {
    const { stimuli } = found;
    let shorter: Plan | undefined;
    for (let from = 0; from < stimuli.length && !shorter; from += size) {
      const rest = [...stimuli.slice(0, from), ...stimuli.slice(from + size)];
      if (fails({ ...found, stimuli: rest })) shorter = { ...found, stimuli: rest };
    }
    if (shorter) found = shorter;
    else if (size === 1) break;
    else size = Math.ceil(size / 2);
  }
  return found;
}

/** Takes each change once that makes the plan simpler, where it still fails with it. */
function simplify(plan: Plan, fails: (simpler: Plan) => boolean): Plan {
  let found = plan;
  for (const change of [...plan.stimuli.flatMap(changesOfStimulus), ...changesOfClaims(plan)]) {
    const simpler = change(found);
    if (JSON.stringify(simpler) !== JSON.stringify(found) && fails(simpler)) found = simpler;
  }
  return found;
}

type Change = (plan: Plan) => Plan;

function changesOfStimulus(stimulus: Stimulus, i: number): Change[] {
  if (stimulus.kind !== "pod") return [];
  const podChange = (change: (pod: PlannedPod) => Partial<PlannedPod>): Change => (plan) => {
    const pod = plan.stimuli[i] as PlannedPod;
    return { ...plan, stimuli: plan.stimuli.with(i, { ...pod, ...change(pod) }) };
  };
  return [
    ...stimulus.claims.map((name) =>
      podChange(({ claims }) => ({ claims: claims.filter((each) => each !== name) }))
    ),
    ...Object.entries(PLAIN).map(([key, value]) => podChange(() => ({ [key]: value }))),
  ];
}

function changesOfClaims(plan: Plan): Change[] {
  return usedClaims(plan).flatMap(({ name, networks }) => {
    const claimChange =
      (change: (claim: PlannedClaim) => Partial<PlannedClaim>): Change => (plan) => ({
        ...plan,
        claims: plan.claims.map((claim) =>
          claim.name === name ? { ...claim, ...change(claim) } : claim
        ),
      });
    return [
      ...networks.slice(1).map(({ request }) =>
        claimChange((claim) => ({
          networks: claim.networks.filter((each) => each.request !== request),
        }))
      ),
      claimChange(() => ({ withOther: false })),
    ];
  });
}

function usedClaims({ claims, stimuli }: Plan): PlannedClaim[] {
  const used = new Set(stimuli.flatMap((each) => each.kind === "pod" ? each.claims : []));
  return claims.filter(({ name }) => used.has(name));
}
