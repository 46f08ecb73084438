import type { OwnClaims } from "./drivers.ts";
import type { EventsByObject } from "./events_by_object.ts";
import type { ObjectName, PodClaimObject, PodObject, TemplateObject } from "./objects.ts";
import type { ClaimView, PodClaimView, PodView } from "./picture.ts";

/** What pods are seen with. */
export interface PodContext {
  readonly claims: readonly ClaimView[];
  readonly own: OwnClaims;
  /** All claims, of whichever driver; undefined where they cannot be read. */
  readonly allClaims: readonly ObjectName[] | undefined;
  /** Undefined where they cannot be read. */
  readonly templates: readonly TemplateObject[] | undefined;
  readonly events: EventsByObject;
}

/**
 * The pods that use claims of this driver, with those claims alone. A claim or a template that is not
 * there may have been meant to be this driver's, and is shown.
 */
export function podViews(
  pods: readonly PodObject[],
  { claims, own, allClaims, templates, events }: PodContext,
): PodView[] {
  const named = new Map(claims.map((claim) => [`${claim.namespace}/${claim.name}`, claim]));
  const nameOf = ({ namespace, name }: ObjectName) => `${namespace}/${name}`;
  const others = allClaims && new Set(allClaims.map(nameOf));
  const known = templates && new Map(templates.map((each) => [nameOf(each), own.has(each.spec)]));
  const view = (pod: PodObject, each: PodClaimObject): PodClaimView[] => {
    const claim = named.get(`${pod.namespace}/${each.claim}`);
    if (claim) return [{ ...each, view: claim }];
    const isOwn = each.claim !== undefined
      ? others?.has(`${pod.namespace}/${each.claim}`) === false
      : known !== undefined && known.get(`${pod.namespace}/${each.template}`) !== false;
    return isOwn ? [each] : [];
  };
  return pods.flatMap((pod) => {
    const own = pod.claims.flatMap((each) => view(pod, each));
    if (own.length === 0) return [];
    return [{ ...pod, claims: own, events: events.get(pod.uid) ?? [] }];
  });
}
