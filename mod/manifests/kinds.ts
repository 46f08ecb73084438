import { DEFINITION_API } from "../networks/definition.ts";
import { NETWORK_API } from "../networks/network_object.ts";
import { didYouMean, nearest } from "../claim/did_you_mean.ts";

/** What is done with objects of a kind. */
export type Treatment =
  /** It is checked and run. */
  | { readonly how: "run" }
  /** Its pods are run. */
  | { readonly how: "workload" }
  /** Claims of the files may name it; it is run if they do: what to do if they do not. */
  | { readonly how: "run if named"; readonly advice: string }
  /** It says nothing about networks. */
  | { readonly how: "pass over" }
  /** It has an effect on a cluster that is not simulated; the advice says what to do instead. */
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

/** Kinds whose names are used in other groups too. */
const NETWORK_VERSIONS: Readonly<Record<string, string>> = {
  Network: NETWORK_API,
  NetworkAttachmentDefinition: DEFINITION_API,
};
const UNNAMED = "it is for Multus: put its configuration into the parameters of a ResourceClaim, " +
  "as docs/how-to/from-multus.md shows, or name it there (networkAttachmentDefinition)";

/** @throws Error for a kind that is misspelled, or of a version that is not known */
export function treatmentOf(apiVersion: string, kind: string): Treatment {
  const [group] = apiVersion.split("/");
  const own = Object.hasOwn(NETWORK_VERSIONS, kind) ? NETWORK_VERSIONS[kind] : undefined;
  if (own !== undefined && group === own.split("/")[0]) {
    if (apiVersion !== own) {
      throw new Error(`apiVersion ${apiVersion} is unknown; must be ${own}`);
    }
    return kind === "Network" ? { how: "run" } : { how: "run if named", advice: UNNAMED };
  }
  const versions = VERSIONS[kind];
  if (versions) {
    if (!versions.includes(apiVersion)) {
      const meant = didYouMean(apiVersion, versions);
      throw new Error(
        `apiVersion ${apiVersion} is unknown; must be ${versions.length > 1 ? "one of " : ""}${
          versions.join(", ")
        }${meant}`,
      );
    }
    const isWorkload = APPS.includes(kind) || BATCH.includes(kind);
    return { how: isWorkload ? "workload" : "run" };
  }
  if (kind === "ResourceSlice") {
    const advice = "the agent publishes what the node has: describe it in a file for --node";
    return { how: "not simulated", advice };
  }
  if (kind === "Kustomization" && apiVersion.startsWith("kustomize.config.k8s.io/")) {
    const advice = 'it is an input of kustomize: render it first with "kubectl kustomize"';
    return { how: "not simulated", advice };
  }
  const meant = nearest(kind, Object.keys(VERSIONS));
  if (meant !== undefined && apiVersion.split("/")[0] === VERSIONS[meant]![0]!.split("/")[0]) {
    throw new Error(`there is no such kind in ${apiVersion} (did you mean ${meant}?)`);
  }
  return { how: "pass over" };
}
