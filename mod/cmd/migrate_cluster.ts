import { ReadError } from "../cluster/ports.ts";
import { KubeConnection } from "../kube/connection.ts";
import { KubeObjectSource } from "../kube/object_source.ts";
import { userKubeconfig } from "../kube/user_kubeconfig.ts";
import type { Source } from "../manifests/file_set.ts";
import { LISTED_KINDS, pathOf, sourceOf } from "../migrate/listed.ts";
import type { ClusterFlags } from "./cluster_access.ts";

/** What a cluster has for Multus. */
export interface ClusterSources {
  readonly sources: readonly Source[];
  /** Why some of it could not be read, a sentence each. */
  readonly unread: readonly string[];
}

/** However many pages the lists have, they are read in this time or not at all; in milliseconds. */
const LIST_LIMIT_MS = 120_000;

/**
 * Reads NetworkAttachmentDefinitions and the workloads that ask for them, with the user's kubeconfig.
 *
 * @throws Error where there is no kubeconfig, and ReadError where the definitions cannot be read
 */
export async function readClusterSources(
  { kubeconfig, context, requestTimeout, namespace }:
    & Pick<ClusterFlags, "kubeconfig" | "context" | "requestTimeout">
    & { readonly namespace: string | undefined },
): Promise<ClusterSources> {
  const { config } = userKubeconfig({
    kubeconfig,
    context,
    home: Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE"),
  });
  const connection = new KubeConnection({ kubeconfig: config, timeout: requestTimeout });
  const reader = new KubeObjectSource(connection);
  const signal = AbortSignal.timeout(LIST_LIMIT_MS);
  const sources: Source[] = [];
  const unread: string[] = [];
  try {
    for (const [i, kind] of LISTED_KINDS.entries()) {
      try {
        for await (const { items } of reader.list(pathOf(kind, namespace), signal)) {
          sources.push(...items.flatMap((item) => sourceOf(item, kind) ?? []));
        }
      } catch (error) {
        if (i === 0 || !(error instanceof ReadError)) throw error;
        // Without whereabouts, nothing has leases.
        if (kind.ofOthers && error.reason === "not-served") continue;
        unread.push(error.message);
      }
    }
  } finally {
    connection.close();
  }
  return { sources, unread };
}
