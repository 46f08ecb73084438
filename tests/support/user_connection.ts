import { join } from "node:path";
import { KubeConnection } from "../../mod/kube/connection.ts";
import { userKubeconfig } from "../../mod/kube/user_kubeconfig.ts";
import type { ClusterApi } from "./cluster_api.ts";

/** Runs with the connection that a user's kubeconfig gives. @param timeout in milliseconds */
export async function withUserConnection(
  api: ClusterApi,
  body: (connection: KubeConnection) => Promise<void>,
  { timeout }: { readonly timeout?: number } = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const kubeconfig = join(folder, "kubeconfig");
  await Deno.writeTextFile(kubeconfig, api.kubeconfig());
  const { config } = userKubeconfig({ kubeconfig });
  const connection = new KubeConnection({ kubeconfig: config, timeout });
  try {
    await body(connection);
  } finally {
    connection.close();
    await Deno.remove(folder, { recursive: true });
  }
}
