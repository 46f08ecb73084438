import { parseAllDocuments } from "yaml";
import type { Api, Manifest } from "./api.ts";
import { until } from "./poll.ts";

/** What is installed on clusters. */
const MANIFESTS = new URL("../../deploy/manifests/network-dra.yaml", import.meta.url).pathname;
/** The driver's name in it. */
const DEFAULT_DRIVER = "dra.networking";
/** The agent runs beside the cluster here, not as its DaemonSet. */
const LEFT_OUT = ["DaemonSet", "ConfigMap"];

const NAMESPACE = "kube-system";
const ACCOUNT = "network-dra";

/** Installs the agent's ServiceAccount, its rights and the device classes. */
export async function installAccount(api: Api, driver: string): Promise<void> {
  const yaml = (await Deno.readTextFile(MANIFESTS)).replaceAll(DEFAULT_DRIVER, driver);
  for (const document of parseAllDocuments(yaml)) {
    const manifest: Manifest = document.toJS();
    if (!LEFT_OUT.includes(manifest.kind)) await api.apply(manifest);
  }
  const namespace = NAMESPACE;
  await until("the ServiceAccount is there", () => {
    return api.get({ kind: "ServiceAccount", namespace, name: ACCOUNT });
  });
}

/**
 * A token as the agent has it on a node: of its own ServiceAccount, bound to a pod on the node, so
 * that it carries the node's name.
 */
export async function agentToken(
  api: Api,
  { nodeName, image }: { readonly nodeName: string; readonly image: string },
): Promise<string> {
  const { metadata: { name, uid } } = await api.apply(pod(nodeName, image));
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${ACCOUNT}/token`;
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

/** Stands where the DaemonSet's pod stands: the agent itself runs beside it. */
function pod(nodeName: string, image: string): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `${ACCOUNT}-${nodeName}`, namespace: NAMESPACE },
    spec: {
      serviceAccountName: ACCOUNT,
      nodeName,
      hostNetwork: true,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "agent", image, command: ["sleep", "1000000"] }],
    },
  };
}
