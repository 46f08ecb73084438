import { didYouMean, nearest } from "../claim/did_you_mean.ts";

/** What is tried of each kind. */
export type Treatment =
  /** It is checked and run. */
  | { readonly how: "run" }
  /** Its pods are run. */
  | { readonly how: "workload" }
  /** It says nothing about networks. */
  | { readonly how: "pass over" }
  /** It would do something on a cluster that is not tried here: what to do. */
  | { readonly how: "not simulated"; readonly advice: string };

const GROUP = "resource.k8s.io";
export const CLAIM_VERSIONS = ["v1", "v1beta2", "v1beta1", "v1alpha3"];
export const CLAIM_API = `${GROUP}/v1`;

const CLAIM_KINDS = ["ResourceClaim", "ResourceClaimTemplate", "DeviceClass"];
const APPS = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];
const BATCH = ["Job", "CronJob"];

/** The apiVersion that each kind has today, for kinds that are not passed over. */
const VERSIONS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    CLAIM_KINDS.map((kind) => [kind, CLAIM_VERSIONS.map((version) => `${GROUP}/${version}`)]),
  ),
  ...Object.fromEntries(APPS.map((kind) => [kind, ["apps/v1"]])),
  ...Object.fromEntries(BATCH.map((kind) => [kind, ["batch/v1"]])),
  Pod: ["v1"],
};

/** @throws Error for a kind that is misspelled, or of a version that is not known */
export function treatmentOf(apiVersion: string, kind: string): Treatment {
  const versions = VERSIONS[kind];
  if (versions) {
    if (!versions.includes(apiVersion)) {
      const meant = didYouMean(apiVersion, versions);
      throw new Error(
        `${kind}: apiVersion ${apiVersion} is not known${meant}; ${versions.join(", ")} ${
          versions.length > 1 ? "are" : "is"
        }`,
      );
    }
    const isWorkload = APPS.includes(kind) || BATCH.includes(kind);
    return { how: isWorkload ? "workload" : "run" };
  }
  if (kind === "NetworkAttachmentDefinition") {
    const advice =
      "it is for Multus: put its configuration into the parameters of a ResourceClaim, " +
      "as docs/from-multus.md shows";
    return { how: "not simulated", advice };
  }
  if (kind === "ResourceSlice") {
    const advice = "the agent publishes what the node has: describe it in a file for --node";
    return { how: "not simulated", advice };
  }
  const meant = nearest(kind, Object.keys(VERSIONS));
  if (meant !== undefined && apiVersion.split("/")[0] === VERSIONS[meant]![0]!.split("/")[0]) {
    throw new Error(`${kind} is not a kind of ${apiVersion} (did you mean ${meant}?)`);
  }
  return { how: "pass over" };
}
