import { array, identity, join, object, optional } from "./field.ts";

/** What a pod says of the claims that it uses; it never changes once the pod is scheduled. */
export interface PodClaims {
  /** Names of ResourceClaims, also those that were made for it: from templates, or for extended resources. */
  readonly names: readonly string[];
  /** The PodGroup that it belongs to. */
  readonly group?: string;
}

/**
 * Reads a Pod (core/v1) as the API server gives it.
 *
 * @returns undefined for another pod than that with the UID
 * @throws FieldError
 */
export function podClaims(pod: unknown, uid: string): PodClaims | undefined {
  const { metadata, spec = {}, status = {} } = object(pod, "the pod");
  if (object(metadata, "metadata").uid !== uid) return undefined;
  const { resourceClaims, schedulingGroup } = object(spec, "spec");
  const { resourceClaimStatuses, extendedResourceClaimStatus } = object(status, "status");
  const group = optional(object, schedulingGroup, "spec.schedulingGroup")?.podGroupName;
  const names = [
    ...claimNames(resourceClaims, "spec.resourceClaims"),
    ...claimNames(resourceClaimStatuses, "status.resourceClaimStatuses"),
    ...claimNames(
      extendedResourceClaimStatus && [extendedResourceClaimStatus],
      "status.extendedResourceClaimStatus",
    ),
  ];
  return {
    names: [...new Set(names)],
    ...(group !== undefined && { group: identity(group, "spec.schedulingGroup.podGroupName") }),
  };
}

function claimNames(value: unknown, path: string): string[] {
  const items = optional(array, value, path) ?? [];
  return items.flatMap((item, i) => {
    const at = `${path}[${i}]`;
    const name = object(item, at).resourceClaimName;
    return optional(identity, name, join(at, "resourceClaimName")) ?? [];
  });
}
