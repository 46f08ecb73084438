import type { Api, Manifest } from "./api.ts";

const NAME = "network-dra";
const RBAC = "rbac.authorization.k8s.io";

export interface AgentAccountOptions {
  readonly driver: string;
  readonly nodeName: string;
  readonly image: string;
}

/**
 * A token as the agent has it on a node: of its own ServiceAccount with no more rights than it needs,
 * bound to a pod on the node, so that it carries the node's name.
 */
export async function agentToken(api: Api, options: AgentAccountOptions): Promise<string> {
  for (const manifest of account(options.driver)) await api.apply(manifest);
  const { metadata: { name, uid } } = await api.apply(pod(options));
  const path = `/api/v1/namespaces/${NAME}/serviceaccounts/${NAME}/token`;
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

function account(driver: string): Manifest[] {
  const metadata = { name: NAME };
  return [
    { apiVersion: "v1", kind: "Namespace", metadata },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: NAME, namespace: NAME } },
    {
      apiVersion: `${RBAC}/v1`,
      kind: "ClusterRole",
      metadata,
      rules: [
        { apiGroups: [""], resources: ["nodes"], verbs: ["get"] },
        { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch"] },
        { apiGroups: ["resource.k8s.io"], resources: ["resourceclaims"], verbs: ["get"] },
        {
          apiGroups: ["resource.k8s.io"],
          resources: ["resourceclaims/status"],
          verbs: ["patch", "update"],
        },
        {
          apiGroups: ["resource.k8s.io"],
          resources: ["resourceclaims/driver"],
          verbs: ["associated-node:patch", "associated-node:update"],
          resourceNames: [driver],
        },
        {
          apiGroups: ["resource.k8s.io"],
          resources: ["resourceslices"],
          verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
        },
      ],
    },
    {
      apiVersion: `${RBAC}/v1`,
      kind: "ClusterRoleBinding",
      metadata,
      roleRef: { apiGroup: RBAC, kind: "ClusterRole", name: NAME },
      subjects: [{ kind: "ServiceAccount", name: NAME, namespace: NAME }],
    },
  ];
}

/** Stands where the DaemonSet's pod stands: the agent itself runs beside it. */
function pod({ nodeName, image }: AgentAccountOptions): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `${NAME}-${nodeName}`, namespace: NAME },
    spec: {
      serviceAccountName: NAME,
      nodeName,
      hostNetwork: true,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: NAME, image, command: ["sleep", "1000000"] }],
    },
  };
}
