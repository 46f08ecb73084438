import type { ClaimMetadata, DeviceMetadata } from "../agent/model.ts";
import { baseRequest } from "../claim/allocation.ts";

/** Versions of metadata.resource.k8s.io in the order in which readers find them: they take the first they know. */
const VERSIONS = ["v1beta1", "v1alpha1"];
const FOLDER = "/var/run/kubernetes.io/dra-device-attributes";

/** The devices by the name of the request that they were given to, without its subrequest. */
export function byRequest(devices: readonly DeviceMetadata[]): Map<string, DeviceMetadata[]> {
  return Map.groupBy(devices, baseRequest);
}

/** Where containers find the file of a request (KEP-5304). */
export function containerPath(
  { claim, podClaimName }: Pick<ClaimMetadata, "claim" | "podClaimName">,
  { request, driver }: { readonly request: string; readonly driver: string },
): string {
  const folder = podClaimName === undefined
    ? `resourceclaims/${claim.name}`
    : `resourceclaimtemplates/${podClaimName}`;
  return `${FOLDER}/${folder}/${request}/${driver}-metadata.json`;
}

/**
 * The file of one request: a DeviceMetadata object for each version, one after the other.
 *
 * @param devices those of the request
 * @param generation 1 at first, and one more with each change
 */
export function metadataStream(
  { claim, podClaimName }: Pick<ClaimMetadata, "claim" | "podClaimName">,
  { devices, driver, generation }: {
    readonly devices: readonly DeviceMetadata[];
    readonly driver: string;
    readonly generation: number;
  },
): string {
  const requests = Map.groupBy(devices, ({ request }) => request);
  const content = {
    kind: "DeviceMetadata",
    metadata: { ...claim, generation },
    ...(podClaimName !== undefined && { podClaimName }),
    requests: [...requests].map(([name, given]) => ({
      name,
      devices: given.map(({ pool, device, attributes, networkData }) => ({
        driver,
        pool,
        name: device,
        attributes,
        ...(networkData && { networkData }),
      })),
    })),
  };
  const objects = VERSIONS.map((version) => ({
    apiVersion: `metadata.resource.k8s.io/${version}`,
    ...content,
  }));
  return objects.map((each) => JSON.stringify(each, null, 2) + "\n").join("");
}
