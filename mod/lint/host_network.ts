import type { Fields } from "../claim/field.ts";
import { type Manifest, objectsIn } from "../manifests/manifest.ts";
import { claimsOf, isOurs } from "./pod_claims.ts";

/**
 * What the agent would say about a pod that uses both the host's network and claims for networks: the
 * plugins would change the node.
 *
 * @param podSpec of a valid pod
 * @param at where it is in its manifest
 * @param own the objects of all files
 */
export function hostNetworkProblem(
  podSpec: Fields,
  { at, namespace, own, classes, driver }: {
    readonly at: string;
    readonly namespace: string;
    readonly own: readonly Manifest[];
    readonly classes: ReadonlyMap<string, Manifest>;
    readonly driver: string;
  },
): { readonly path: string; readonly message: string } | undefined {
  if (podSpec.hostNetwork !== true) return undefined;
  const claim = claimsOf(podSpec, { namespace, own }).find(({ requests }) =>
    classNamesOf(requests).some((name) => {
      const deviceClass = classes.get(name);
      return deviceClass !== undefined && isOurs(deviceClass, driver);
    })
  );
  if (!claim) return undefined;
  const { kind, metadata } = claim.manifest;
  return {
    path: `${at}.hostNetwork`,
    message: `the pod uses the host's network, to which ${kind} ${metadata.name} cannot add an ` +
      "interface: use hostNetwork: false, or a pod without the claim",
  };
}

function classNamesOf(requests: readonly Fields[]): string[] {
  return requests.flatMap(({ exactly, firstAvailable }) =>
    objectsIn([exactly, ...objectsIn(firstAvailable)])
  ).map(({ deviceClassName }) => `${deviceClassName}`);
}
