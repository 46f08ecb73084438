import type { Fields } from "../claim/field.ts";
import { selectedDrivers } from "../manifests/drivers.ts";
import { type Manifest, objectsIn } from "../manifests/manifest.ts";

/** A claim or a claim template that a pod names. */
export interface NamedClaim {
  /** Of the pod's spec.resourceClaims. */
  readonly entry: Fields;
  readonly manifest: Manifest;
  readonly requests: readonly Fields[];
}

/**
 * The claims and templates that a pod names, as far as the files contain them.
 *
 * @param podSpec of a valid pod
 * @param own the objects of all files
 */
export function claimsOf(
  podSpec: Fields,
  { namespace, own }: { readonly namespace: string; readonly own: readonly Manifest[] },
): NamedClaim[] {
  return ((podSpec.resourceClaims ?? []) as Fields[]).flatMap((entry) => {
    const manifest = own.find(({ kind, metadata }) =>
      (metadata.namespace ?? "default") === namespace &&
      (kind === "ResourceClaim" && metadata.name === entry.resourceClaimName ||
        kind === "ResourceClaimTemplate" && metadata.name === entry.resourceClaimTemplateName)
    );
    if (!manifest) return [];
    return [{ entry, manifest, requests: requestsOf(manifest) }];
  });
}

function requestsOf({ kind, spec }: Manifest): Fields[] {
  const own = (kind === "ResourceClaim" ? spec : (spec as Fields | undefined)?.spec) as
    | { readonly devices?: Fields }
    | undefined;
  return objectsIn(own?.devices?.requests);
}

/** Whether a class can select devices of the driver. */
export function isOurs(deviceClass: Manifest, driver: string): boolean {
  return selectedDrivers(deviceClass)?.includes(driver) ?? true;
}
