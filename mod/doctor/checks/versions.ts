import { versionFindings } from "../../cluster/findings.ts";
import type { NodeView } from "../../cluster/picture.ts";
import type { Checked, Finding, Unknown } from "../finding.ts";
import { nodesText } from "../nodes_text.ts";
import { type ClusterSeen, isInstalled, type KubeletSeen } from "../seen.ts";
import { minorOf } from "../versions.ts";

/** The first minor version of Kubernetes with resource.k8s.io/v1. */
const FIRST_MINOR = 34;
/** A kubelet may be this many minor versions older than the API server. */
const KUBELET_SKEW = 3;

/** Whether versions fit one another: agents, kubelets, the API server, and this program. @param own its version */
export function checkVersions(seen: ClusterSeen, own: string): Checked {
  const { picture, whole, api, agents, kubelets } = seen;
  const findings: Finding[] = versionFindings(picture).map((finding) => ({
    whatToDo: "let the update end",
    ...finding,
  }));
  const unknown: Unknown[] = [];
  const silent: string[] = [];
  const server = api.state === "seen" ? minorOf(api.value.version) : undefined;
  for (const node of picture.nodes) {
    if (isInstalled(whole) && node.agent.state === "none") continue;
    if (node.kubelet === undefined) silent.push(node.name);
    else findings.push(...kubeletFindings(node, server));
  }
  findings.push(...kubelets.flatMap(gateFindings));
  const closed = kubelets.flatMap(({ node, gates }) =>
    gates.state === "unseen" ? [{ node, why: gates.why }] : []
  );
  for (const [why, all] of Map.groupBy(closed, ({ why }) => why)) {
    const nodes = nodesText(all.map(({ node }) => node));
    unknown.push({ what: `the feature gates of the kubelet on ${nodes}`, why });
  }
  if (picture.nodes.length === 0) {
    unknown.push({ what: "the versions of kubelets", why: "no node is to be seen" });
  }
  if (silent.length > 0) {
    const why = "the node does not say it, or nodes cannot be read";
    unknown.push({ what: `the kubelet's version on ${nodesText(silent)}`, why });
  }
  const versions = new Set(
    agents.flatMap(({ told }) =>
      told.state === "told" ? told.document.agents.map(({ version }) => version) : []
    ),
  );
  const others = [...versions].filter((version) => version !== own);
  if (others.length > 0) {
    findings.push({
      level: "note",
      where: "this program",
      what: `it is version ${own}, and agents have the version ${others.toSorted().join(", ")}`,
      whatToDo: "use the program of the agents' release",
    });
  }
  return {
    findings,
    unknown,
    ...(picture.nodes.length > silent.length && {
      well: "agents, kubelets and the API server fit one another",
    }),
  };
}

/** Gates of the kubelet that are on unless they are turned off, and what fails without them. */
const KUBELET_GATES: Readonly<Record<string, Omit<Finding, "where" | "whatToDo">>> = {
  DynamicResourceAllocation: {
    level: "error",
    what: "the feature gate DynamicResourceAllocation of the kubelet is off: pods with claims do " +
      "not start there",
  },
  ResourceHealthStatus: {
    level: "note",
    what: "the feature gate ResourceHealthStatus of the kubelet is off: the status of pods does " +
      "not show whether their interfaces are there",
  },
};

function gateFindings({ node, gates }: KubeletSeen): Finding[] {
  if (gates.state === "unseen") return [];
  return Object.entries(KUBELET_GATES).flatMap(([gate, finding]) =>
    gates.value[gate] !== false ? [] : [{
      where: `node ${node}`,
      ...finding,
      whatToDo: `take ${gate}: false out of featureGates in the kubelet's configuration, and ` +
        "restart it",
    }]
  );
}

function kubeletFindings({ name, kubelet = "" }: NodeView, server: number | undefined): Finding[] {
  const minor = minorOf(kubelet);
  if (minor === undefined) return [];
  const where = `node ${name}`;
  if (minor < FIRST_MINOR) {
    return [{
      level: "error",
      where,
      what: `its kubelet ${kubelet} does not know resource.k8s.io/v1`,
      whatToDo: "update the kubelet to Kubernetes 1.34 or later",
    }];
  }
  if (server === undefined || minor <= server && minor >= server - KUBELET_SKEW) return [];
  const how = minor > server ? "newer than the API server" : "too old for the API server";
  return [{
    level: "warning",
    where,
    what: `its kubelet ${kubelet} is ${how} (1.${server}), which Kubernetes does not support`,
    whatToDo: minor > server ? "update the control plane" : "update the kubelet",
  }];
}
