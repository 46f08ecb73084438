import { didYouMean } from "../claim/did_you_mean.ts";
import type { Fields } from "../claim/field.ts";
import type { Manifest } from "../manifests/manifest.ts";
import { claimsOf } from "./pod_claims.ts";

interface Found {
  readonly path: string;
  readonly message: string;
}

/**
 * Finds requests that containers name but the pod's claims do not have. Nothing in a cluster refuses
 * them: the API server only checks that they are names, and the kubelet gives the container the devices
 * that the driver has prepared for the request, in this case none (cdiDevicesAsList() of
 * pkg/kubelet/cm/dra in Kubernetes 1.36).
 *
 * @param podSpec of a valid pod
 * @param at where it is in its manifest
 * @param own the objects of all files
 */
export function unknownRequests(
  podSpec: Fields,
  { at, namespace, own }: {
    readonly at: string;
    readonly namespace: string;
    readonly own: readonly Manifest[];
  },
): Found[] {
  const requests = new Map(
    claimsOf(podSpec, { namespace, own }).map((
      { entry, manifest: { kind, metadata }, requests },
    ) => [
      entry.name,
      {
        owner: `${kind} ${namespace}/${metadata.name}`,
        // Whichever alternative of a request is allocated, it is for the request.
        names: requests.map(({ name }) => `${name}`),
      },
    ]),
  );
  return ["initContainers", "containers"].flatMap((key) =>
    ((podSpec[key] ?? []) as Fields[]).flatMap(({ resources }, i) =>
      (((resources as Fields | undefined)?.claims ?? []) as Fields[]).flatMap((used, j) => {
        const known = requests.get(used.name);
        if (!known || used.request === undefined) return [];
        const request = String(used.request);
        if (known.names.includes(request)) return [];
        return [{
          path: `${at}.${key}[${i}].resources.claims[${j}].request`,
          message:
            `${JSON.stringify(request)} is not a request of ${known.owner}; its requests are ` +
            known.names.join(", ") + didYouMean(request, known.names),
        }];
      })
    )
  );
}
