import { readCluster } from "../../mod/cluster/read_cluster.ts";
import { KINDS } from "../../mod/cluster/kinds.ts";
import type { ClusterObjects, Kind } from "../../mod/cluster/objects.ts";
import { pictureOf } from "../../mod/cluster/picture_of.ts";
import type { ClusterPicture } from "../../mod/cluster/picture.ts";
import { type ObjectSource, ReadError } from "../../mod/cluster/ports.ts";
import type { RawCluster } from "./cluster_objects.ts";

export const NOW = new Date("2026-11-30T10:05:00Z");

/** Lists what a test gives it; what the user has no right to says so. */
export function sourceOf(
  cluster: RawCluster,
  { forbidden = [] }: { readonly forbidden?: readonly string[] } = {},
): ObjectSource {
  return {
    async *list(path) {
      const plural = path.split("?")[0]!.split("/").at(-1)! as keyof RawCluster;
      if (forbidden.includes(plural)) {
        throw new ReadError("forbidden", `you have no right to list ${plural}`);
      }
      yield await Promise.resolve({ items: cluster[plural], resourceVersion: "1" });
    },
    watch: () => {
      throw new Error("nobody watches");
    },
  };
}

/** What is read of a made-up cluster. */
export function objectsOf(
  cluster: RawCluster,
  options: { readonly forbidden?: readonly string[]; readonly kinds?: readonly Kind[] } = {},
): Promise<ClusterObjects> {
  const { kinds = Object.keys(KINDS) as Kind[] } = options;
  const signal = new AbortController().signal;
  return readCluster(sourceOf(cluster, options), { kinds, signal });
}

/** The picture of a made-up cluster. */
export async function pictureFrom(
  cluster: RawCluster,
  options: { readonly forbidden?: readonly string[]; readonly kinds?: readonly Kind[] } = {},
): Promise<ClusterPicture> {
  return pictureOf(await objectsOf(cluster, options), { now: NOW });
}
