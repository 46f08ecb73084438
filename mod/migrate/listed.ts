import type { Source } from "../manifests/file_set.ts";
import type { Fields, Manifest } from "../manifests/manifest.ts";
import { LEASE_API } from "./leases.ts";
import { controllerOf, hasPods, isAnnotated } from "./workload.ts";

/** A kind of objects that is read from a cluster. */
export interface ListedKind {
  readonly kind: string;
  readonly apiVersion: string;
  readonly plural: string;
  /** Whether it is read of all namespaces, and may not be there. */
  readonly ofOthers?: boolean;
}

/** All that `migrate` looks at. The first is needed, and the others are left out where they cannot be read. */
export const LISTED_KINDS: readonly ListedKind[] = [
  {
    kind: "NetworkAttachmentDefinition",
    apiVersion: "k8s.cni.cncf.io/v1",
    plural: "network-attachment-definitions",
  },
  { kind: "Deployment", apiVersion: "apps/v1", plural: "deployments" },
  { kind: "StatefulSet", apiVersion: "apps/v1", plural: "statefulsets" },
  { kind: "DaemonSet", apiVersion: "apps/v1", plural: "daemonsets" },
  { kind: "ReplicaSet", apiVersion: "apps/v1", plural: "replicasets" },
  { kind: "CronJob", apiVersion: "batch/v1", plural: "cronjobs" },
  { kind: "Job", apiVersion: "batch/v1", plural: "jobs" },
  { kind: "Pod", apiVersion: "v1", plural: "pods" },
  { kind: "IPPool", apiVersion: LEASE_API, plural: "ippools", ofOthers: true },
  {
    kind: "OverlappingRangeIPReservation",
    apiVersion: LEASE_API,
    plural: "overlappingrangeipreservations",
    ofOthers: true,
  },
];

/** The path of a list, in one namespace or in all. */
export function pathOf({ apiVersion, plural, ofOthers }: ListedKind, namespace?: string): string {
  const api = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const inside = namespace === undefined || ofOthers
    ? ""
    : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${api}${inside}/${plural}`;
}

/**
 * An item of a list as a source of `migrate`, with its path for a file's name; undefined for a workload
 * that asks for no network, or that a controller makes.
 */
export function sourceOf(
  item: unknown,
  { kind, apiVersion, plural }: ListedKind,
): Source | undefined {
  const { status, ...rest } = item as Manifest;
  const { managedFields: _, ...metadata } = rest.metadata as Manifest["metadata"] & Fields;
  // That there is a status says that the object comes from a cluster, and what it says does not matter.
  const isOld = status !== undefined && { status: {} };
  const manifest: Manifest = { ...rest, apiVersion, kind, metadata, ...isOld };
  if (hasPods(manifest) && (!isAnnotated(manifest) || controllerOf(manifest) !== undefined)) return;
  const file = [metadata.namespace, plural, metadata.name].join("/");
  return { file, text: JSON.stringify(manifest) };
}
