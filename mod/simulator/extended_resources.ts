import { CLAIM_API } from "../manifests/kinds.ts";
import type { Fields, Manifest } from "../manifests/manifest.ts";

/** The implicit extended resource name of every class (KEP-5004). */
const IMPLICIT = "deviceclass.resource.kubernetes.io/";

/** The claim that the scheduler makes for a pod whose containers ask for devices as extended resources. */
export interface ExtendedResourceClaim {
  readonly claim: Manifest;
  /** The names of the containers that use it. */
  readonly containers: readonly string[];
}

/** @returns undefined if no container asks for the extended resource of a class */
export function extendedResourceClaim(
  pod: Manifest,
  classes: ReadonlyMap<string, Manifest>,
): ExtendedResourceClaim | undefined {
  const { initContainers = [], containers = [] } = pod.spec as Readonly<Record<string, Fields[]>>;
  const requests: Fields[] = [];
  const users = new Set<string>();
  for (const [i, container] of [...initContainers, ...containers].entries()) {
    const { requests: asked, limits } = (container.resources ?? {}) as Readonly<
      Record<string, Fields>
    >;
    for (const [resource, quantity] of Object.entries({ ...limits, ...asked })) {
      const deviceClass = classFor(resource, classes);
      if (!deviceClass) continue;
      users.add(`${container.name}`);
      requests.push({
        name: `container-${i}-request-${requests.length}`,
        exactly: {
          deviceClassName: deviceClass,
          allocationMode: "ExactCount",
          count: Number(quantity),
        },
      });
    }
  }
  if (requests.length === 0) return undefined;
  const { namespace = "default", name } = pod.metadata;
  const claim: Manifest = {
    apiVersion: CLAIM_API,
    kind: "ResourceClaim",
    metadata: {
      name: `${name}-extended-resources-${crypto.randomUUID().slice(0, 5)}`,
      namespace,
      annotations: { "resource.kubernetes.io/extended-resource-claim": "true" },
    } as Manifest["metadata"],
    spec: { devices: { requests } },
  };
  return { claim, containers: [...users] };
}

function classFor(resource: string, classes: ReadonlyMap<string, Manifest>): string | undefined {
  if (resource.startsWith(IMPLICIT)) return resource.slice(IMPLICIT.length);
  return [...classes.values()].find(({ spec }) =>
    (spec as Fields | undefined)?.extendedResourceName === resource
  )?.metadata.name;
}
