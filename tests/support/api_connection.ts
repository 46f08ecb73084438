import { join } from "node:path";
import { KubeConnection } from "../../mod/kube/connection.ts";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";

export interface ApiConnection {
  readonly api: SimulatedApiServer;
  readonly connection: KubeConnection;
  readonly kubeconfig: string;
}

/** Runs with a simulated API server and a connection to it. */
export async function withApi(body: (bench: ApiConnection) => Promise<void>): Promise<void> {
  const api = new SimulatedApiServer();
  api.start();
  const folder = await Deno.makeTempDir();
  const kubeconfig = join(folder, "kubeconfig");
  await Deno.writeTextFile(kubeconfig, api.kubeconfig());
  const connection = new KubeConnection({ kubeconfig });
  try {
    await body({ api, connection, kubeconfig });
  } finally {
    connection.close();
    await api.stop();
    await Deno.remove(folder, { recursive: true });
  }
}
