/** A right, as an access review asks for it. */
export interface Right {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly verb: string;
  /** Undefined: the whole cluster. */
  readonly namespace?: string;
  /** Of the object. */
  readonly name?: string;
  /** What fails without it. */
  readonly needed: string;
}

const RESOURCE = "resource.k8s.io";

/** What the chart's ClusterRole gives to the agents, and what fails without it. */
export const AGENT_RIGHTS: readonly Right[] = [
  right("", "nodes", ["get"], "own the slices of its node"),
  right("", "pods", ["get"], "know which claims a pod shares"),
  right(RESOURCE, "resourceclaims", ["get"], "prepare claims"),
  right(RESOURCE, "resourceclaims/status", ["patch", "update"], "write the status of claims"),
  right(
    RESOURCE,
    "resourceslices",
    ["get", "list", "watch", "create", "update", "patch", "delete"],
    "publish the devices of its node",
  ),
  right("", "events", ["create", "patch"], "write events"),
].flat();

/** From Kubernetes 1.36 on, the agents also need these for their driver's name. */
export function statusRights(driver: string): Right[] {
  return right(
    RESOURCE,
    "resourceclaims/driver",
    ["associated-node:patch", "associated-node:update"],
    "write the status of claims",
  ).map((each) => ({ ...each, name: driver }));
}

/** The minor version of Kubernetes from which on `statusRights()` are asked for. */
export const STATUS_RIGHTS_SINCE = 36;

/** What a user needs to install the chart into kube-system. */
export const INSTALL_RIGHTS: readonly Right[] = [
  right("apps", "daemonsets", ["create"], "run the agents").map(inSystem),
  right("", "serviceaccounts", ["create"], "run the agents").map(inSystem),
  right("", "configmaps", ["create"], "configure the agents").map(inSystem),
  right("rbac.authorization.k8s.io", "clusterroles", ["create"], "give the agents their rights"),
  right("rbac.authorization.k8s.io", "clusterrolebindings", ["create"], "give the agents rights"),
  right(
    "admissionregistration.k8s.io",
    "validatingadmissionpolicies",
    ["create"],
    "keep each agent to its own node",
  ),
  right(
    "admissionregistration.k8s.io",
    "validatingadmissionpolicybindings",
    ["create"],
    "keep each agent to its own node",
  ),
  right(RESOURCE, "deviceclasses", ["create"], "create the chart's classes"),
].flat();

/** `create daemonsets in kube-system` */
export function describeRight({ resource, subresource, verb, namespace, name }: Right): string {
  const what = subresource === undefined ? resource : `${resource}/${subresource}`;
  const named = name === undefined ? "" : ` ${name}`;
  return `${verb} ${what}${named}${namespace === undefined ? "" : ` in ${namespace}`}`;
}

/** @param resource can have a subresource after a slash */
function right(
  group: string,
  resource: string,
  verbs: readonly string[],
  needed: string,
): Right[] {
  const [plural = "", subresource] = resource.split("/");
  return verbs.map((verb) => ({
    group,
    resource: plural,
    ...(subresource !== undefined && { subresource }),
    verb,
    needed,
  }));
}

function inSystem(each: Right): Right {
  return { ...each, namespace: "kube-system" };
}
