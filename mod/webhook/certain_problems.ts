import {
  parentsIn,
  type PlanOptions,
  type PlanProblem,
  planProblems,
} from "../lint/claim_plans.ts";
import { type Fields, type Manifest, objectsIn } from "../manifests/manifest.ts";

/** Interfaces that no configuration names: what is wrong with each of them is wrong with any. */
const ANY_INTERFACES = ["nic77a", "nic78b"];

/** Interfaces of one claim's configurations that are tried, at most. */
const MOST_PARENTS = 8;

/**
 * What the agent would say about a claim whichever device it gets: the problems that are the same, in
 * the same words, for the device `cni` and for interfaces of the node, those among them that the
 * configuration names.
 *
 * @param base the path of the claim's spec: `spec`, or `spec.spec` in a template
 */
export function certainProblems(
  claim: Manifest,
  { base, ...options }: PlanOptions & { readonly base: string },
): PlanProblem[] {
  let found = planProblems(claim, { base, ...options });
  if (found.length === 0) return [];
  const parents = new Set(parentsIn(configurations(claim, { base, ...options }), options.driver));
  if (parents.size > MOST_PARENTS) return [];
  for (const interfaceName of [...ANY_INTERFACES, ...parents]) {
    const others = planProblems(claim, { base, ...options, interfaceName });
    found = found.flatMap((problem) => {
      const same = others.find(({ path, message, deviceClass }) =>
        path === problem.path && message === problem.message && deviceClass === problem.deviceClass
      );
      return same ? [{ ...problem, certain: problem.certain && same.certain }] : [];
    });
    if (found.length === 0) return [];
  }
  return found;
}

/** Of the claim and of the classes. */
function configurations(
  { spec }: Manifest,
  { base, classes }: PlanOptions & { readonly base: string },
): Fields[] {
  const own = (base === "spec" ? spec : (spec as Fields).spec) as Fields;
  const ofClasses = [...classes.values()].flatMap((each) =>
    objectsIn((each.spec as Fields | undefined)?.config)
  );
  return [...objectsIn((own.devices as Fields | undefined)?.config), ...ofClasses];
}
