import { didYouMean } from "../claim/did_you_mean.ts";
import type { ClusterPicture } from "../cluster/picture.ts";

/** @throws Error where `--node` is given and the cluster is known to have no such node */
export function assertKnownNode(
  { nodes, unread }: Pick<ClusterPicture, "nodes" | "unread">,
  node: string | undefined,
): void {
  if (node === undefined || unread.some(({ kind }) => kind === "Node")) return;
  const names = nodes.map(({ name }) => name);
  if (names.includes(node)) return;
  const meant = didYouMean(node, names);
  throw new Error(`--node ${JSON.stringify(node)}: the cluster has no node of this name${meant}`);
}
