import type { ListScope } from "../cluster/kinds.ts";
import type { Kind, Unread } from "../cluster/objects.ts";
import type { ClusterPicture } from "../cluster/picture.ts";
import { pictureOf } from "../cluster/picture_of.ts";
import type { ObjectSource } from "../cluster/ports.ts";
import { readCluster } from "../cluster/read_cluster.ts";
import { KubeConnection } from "../kube/connection.ts";
import { KubeObjectSource } from "../kube/object_source.ts";
import { userKubeconfig } from "../kube/user_kubeconfig.ts";
import { userHome } from "./user_home.ts";

/** The flags that select the cluster. */
export interface ClusterFlags {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly driverName: string | undefined;
  /** Milliseconds. */
  readonly requestTimeout: number;
}

/** Read access to a cluster. */
export interface ClusterAccess {
  /** The URL of the API server. */
  readonly server: string;
  /** The namespace of the context. */
  readonly namespace: string;
  /** For what is more than a look. */
  readonly connection: KubeConnection;
  /**
   * Reads the kinds and puts them together.
   *
   * @param options.needed kinds without which there is nothing to show
   * @param options.over ends it sooner
   * @throws Error that says why none of what is needed can be read
   */
  look(
    options: {
      readonly kinds: readonly Kind[];
      readonly needed: readonly Kind[];
      readonly over?: AbortSignal;
    } & ListScope,
  ): Promise<ClusterPicture>;
}

/** Time limit for reading a list with all its pages, in milliseconds. */
export const LIST_LIMIT_MS = 120_000;

/** A connection to a cluster with a user's own rights. */
export interface OpenCluster {
  readonly source: ObjectSource;
  readonly connection: KubeConnection;
  /** The URL of the API server. */
  readonly server: string;
  /** The namespace of the context. */
  readonly namespace: string;
  close(): void;
}

/** Connects to the cluster that the flags name. @throws Error that says what is wrong in the kubeconfig */
export function openCluster({ kubeconfig, context, requestTimeout }: ClusterFlags): OpenCluster {
  const { config, namespace } = userKubeconfig({
    kubeconfig,
    context,
    home: userHome((name) => Deno.env.get(name)),
  });
  const connection = new KubeConnection({ kubeconfig: config, timeout: requestTimeout });
  return {
    source: new KubeObjectSource(connection),
    connection,
    server: connection.server,
    namespace,
    close: () => connection.close(),
  };
}

/** Runs with a connection to the cluster that the flags name. */
export async function withConnection<T>(
  flags: ClusterFlags,
  body: (connection: KubeConnection) => Promise<T>,
): Promise<T> {
  const { connection, close } = openCluster(flags);
  try {
    return await body(connection);
  } finally {
    close();
  }
}

/** Runs with access to the cluster that the flags name. */
export async function withCluster<T>(
  flags: ClusterFlags,
  body: (cluster: ClusterAccess) => Promise<T>,
): Promise<T> {
  const { source, connection, server, namespace, close } = openCluster(flags);
  const { driverName } = flags;
  try {
    return await body({
      server,
      namespace,
      connection,
      look: async ({ needed, over, ...options }) => {
        const limit = AbortSignal.timeout(LIST_LIMIT_MS);
        const signal = over ? AbortSignal.any([limit, over]) : limit;
        const objects = await readCluster(source, { ...options, signal });
        const picture = pictureOf(objects, {
          now: new Date(),
          ...(driverName !== undefined && { driver: driverName }),
        });
        const missing = picture.unread.filter(({ kind }) => needed.includes(kind));
        if (missing.length === needed.length) throw new Error(sentences(missing).join("\n"));
        return picture;
      },
    });
  } finally {
    close();
  }
}

/** Each sentence once, with a hint where a namespace would help. */
export function sentences(unread: readonly Unread[]): string[] {
  return [...new Set(unread.map(({ message }) => message))];
}
