import { type Advice, adviceOn } from "./advice.ts";
import type { ClaimView, ClusterPicture, NodeView } from "./picture.ts";

/** Something that is wrong, or that may be. */
export interface Finding {
  /** "error": a network does not work; "warning": one may not. */
  readonly level: "error" | "warning";
  /** Such as `node node-1` or `claim default/lan`. */
  readonly where: string;
  /** A sentence without a full stop. */
  readonly what: string;
  /** The same form; absent where there is nothing to do. */
  readonly whatToDo?: string;
}

/** What is wrong in a picture, errors first. */
export function findingsOf(picture: ClusterPicture): Finding[] {
  const found = [
    ...agentFindings(picture),
    ...versionFindings(picture),
    ...claimFindings(picture),
  ];
  return [
    ...found.filter(({ level }) => level === "error"),
    ...found.filter(({ level }) => level === "warning"),
  ];
}

/** What is wrong with nodes and their agents. */
export function agentFindings(picture: ClusterPicture): Finding[] {
  const used = claimsInUse(picture);
  return [
    ...clusterFindings(picture),
    ...picture.nodes.flatMap((node) => nodeFindings(node, { picture, used })),
  ];
}

function clusterFindings({ unread, nodes, devices, drivers }: ClusterPicture): Finding[] {
  const isRead = (kind: string) => !unread.some((each) => each.kind === kind);
  const hasAgent = nodes.some(({ agent }) => agent.state !== "none");
  if (hasAgent || devices.length > 0 || !isRead("ResourceSlice") || !isRead("AgentPod")) return [];
  return [{
    level: "error",
    where: "cluster",
    what: `no agent runs, and no node has devices of the driver ${drivers.join(", ")}`,
    whatToDo: "install network-dra, or give the driver's name with --driver-name",
  }];
}

/** How many claims of each node are in use. */
function claimsInUse({ claims }: ClusterPicture): ReadonlyMap<string, number> {
  const used = new Map<string, number>();
  for (const { node, pods } of claims) {
    if (node !== undefined && pods.length > 0) used.set(node, (used.get(node) ?? 0) + 1);
  }
  return used;
}

function nodeFindings(
  { name, ready, problem, agent, devices }: NodeView,
  { picture: { unread, nodes }, used }: {
    readonly picture: ClusterPicture;
    readonly used: ReadonlyMap<string, number>;
  },
): Finding[] {
  const where = `node ${name}`;
  if (ready === false) {
    return [{
      level: "warning",
      where,
      what: `the node is not ready: ${problem}`,
      whatToDo: `look at the node: kubectl describe node ${name}`,
    }];
  }
  switch (agent.state) {
    case "not-ready":
      return [{
        level: "error",
        where,
        what: `the agent ${agent.pod.namespace}/${agent.pod.name} is not ready: ${agent.problem}`,
        whatToDo: `kubectl -n ${agent.pod.namespace} logs ${agent.pod.name}`,
      }];
    case "unseen":
      // It runs as a process of the node, or its pod is gone: only its claims tell.
      if (unread.some(({ kind }) => kind === "AgentPod") || !used.has(name)) return [];
      if (!nodes.some((each) => each.agent.state === "ready")) return [];
      return [{
        level: "warning",
        where,
        what: `no pod of the agent is there, though ${inUse(used.get(name)!)} devices of the node`,
        whatToDo: "see whether the DaemonSet's nodeSelector and tolerations still match the node",
      }];
    case "ready":
      if (devices > 0 || unread.some(({ kind }) => kind === "ResourceSlice")) return [];
      return [{
        level: "error",
        where,
        what: "the agent is ready, but the node has no ResourceSlice",
        whatToDo: `kubectl -n ${agent.pod.namespace} logs ${agent.pod.name}`,
      }];
    case "none":
      if (unread.some(({ kind }) => kind === "AgentPod") || !used.has(name)) return [];
      return [{
        level: "warning",
        where,
        what: `no agent runs there, though ${inUse(used.get(name)!)} devices of the node`,
        whatToDo: AGENT_AWAY,
      }];
  }
}

function inUse(count: number): string {
  return count === 1 ? "1 claim in use has" : `${count} claims in use have`;
}

const AGENT_AWAY =
  "see whether the nodeSelector and the tolerations of the DaemonSet match the node";

/** Why nodes have no devices at all: `no agent runs on node node-2`, and what to do. */
export function missingAgents(
  { nodes, unread }: ClusterPicture,
): { readonly what: string; readonly whatToDo: string } | undefined {
  if (unread.some(({ kind }) => ["Node", "AgentPod", "ResourceSlice"].includes(kind))) {
    return undefined;
  }
  const without = nodes.filter(({ agent, devices }) =>
    devices === 0 && (agent.state === "none" || agent.state === "not-ready")
  );
  // Where no agent runs at all, that is said by itself.
  if (without.length === 0 || without.length === nodes.length) return undefined;
  const shown = without.slice(0, 3).map(({ name }) => name).join(", ");
  const more = without.length > 3 ? ` and ${without.length - 3} more` : "";
  return {
    what:
      `no agent runs on node${without.length === 1 ? "" : "s"} ${shown}${more}, so that no pod ` +
      "with a network can be placed there",
    whatToDo: AGENT_AWAY,
  };
}

/** Whether agents of several versions run. */
export function versionFindings({ nodes }: ClusterPicture): Finding[] {
  const versions = new Set(
    nodes.flatMap(({ agent }) => agent.state === "ready" ? agent.pod.version ?? [] : []),
  );
  if (versions.size < 2) return [];
  return [{
    level: "warning",
    where: "cluster",
    what: `agents of several versions run: ${[...versions].toSorted().join(", ")}`,
    whatToDo: "let the update end: kubectl -n kube-system rollout status daemonset/network-dra",
  }];
}

/** What is wrong with claims. */
export function claimFindings(picture: ClusterPicture): Finding[] {
  const away = missingAgents(picture);
  return picture.claims.flatMap((claim) => findingsOfClaim(claim, away));
}

function findingsOfClaim(
  { namespace, name, state, pods, node }: ClaimView,
  away: ReturnType<typeof missingAgents>,
): Finding[] {
  const { phase, reason, message } = state;
  const isWaiting = phase === "unallocated" && pods.length > 0;
  const isStuck = phase === "detaching" && message !== undefined;
  if (phase !== "failed" && phase !== "lost" && !isWaiting && !isStuck) return [];
  const known = adviceOn({ reason, message });
  const advice = isWaiting && away ? awayOr(away, known) : known;
  const users = pods.slice(0, 3).map((pod) => `pod ${pod.namespace}/${pod.name}`);
  const more = pods.length > 3 ? ` and ${pods.length - 3} more pods` : "";
  const of = users.length > 0 ? ` (${users.join(", ")}${more})` : "";
  const on = node === undefined ? "" : ` on node ${node}`;
  return [{
    level: "error",
    where: `claim ${namespace}/${name}`,
    what: [`${SAID[phase]}${on}${of}`, advice?.cause, message].filter((part) => part).join(": "),
    ...(advice && { whatToDo: advice.whatToDo }),
  }];
}

/** Of a pod without a node it is not known which nodes it may run on: it says both. */
export function awayOr(
  away: { readonly what: string; readonly whatToDo: string },
  known: Advice | undefined,
): Advice {
  return {
    cause: away.what,
    whatToDo: known ? `${away.whatToDo}; or ${known.whatToDo}` : away.whatToDo,
  };
}

const SAID: Readonly<Record<"failed" | "lost" | "unallocated" | "detaching", string>> = {
  failed: "the network could not be attached",
  lost: "the network is no longer as it was attached",
  unallocated: "the scheduler finds no device",
  detaching: "the network cannot be detached",
};
