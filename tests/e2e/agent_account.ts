import type { Api, Json, Manifest } from "./api.ts";
import { NAME, NAMESPACE } from "./chart.ts";

/**
 * A token as the agent has it on a node: of its own ServiceAccount, bound to a pod on the node, so
 * that it carries the node's name.
 */
export async function agentToken(
  api: Api,
  { nodeName, image }: { readonly nodeName: string; readonly image: string },
): Promise<string> {
  return await tokenOf(api, await api.apply(pod(nodeName, image)));
}

/** A token bound to a pod that has the agent's ServiceAccount. */
export async function tokenOf(
  api: Api,
  { metadata: { name, uid } }: Json,
): Promise<string> {
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${NAME}/token`;
  const { status } = await api.request("POST", path, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: {
      expirationSeconds: 4 * 3600,
      boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
    },
  });
  return status.token;
}

/** Stands where the DaemonSet's pod stands. */
function pod(nodeName: string, image: string): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `agent-on-${nodeName}`, namespace: NAMESPACE },
    spec: {
      serviceAccountName: NAME,
      nodeName,
      hostNetwork: true,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "agent", image, command: ["sleep", "1000000"] }],
    },
  };
}
