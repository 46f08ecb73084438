import type { AgentPod, NodeObject, SliceObject } from "./objects.ts";
import type { AgentState, NodeView } from "./picture.ts";

/** All nodes that are there, have an agent, or have devices of this driver; by name. */
export function nodeViews(
  { nodes, agents, slices }: {
    readonly nodes: readonly NodeObject[];
    readonly agents: readonly AgentPod[];
    readonly slices: readonly SliceObject[];
  },
): NodeView[] {
  const known = new Map(nodes.map((node) => [node.name, node]));
  const devices = new Map<string, number>();
  for (const { node, devices: { length } } of slices) {
    if (node !== undefined) devices.set(node, (devices.get(node) ?? 0) + length);
  }
  const pods = Map.groupBy(agents.filter(({ node }) => node !== undefined), ({ node }) => node!);
  const names = new Set([...known.keys(), ...devices.keys(), ...pods.keys()]);
  return [...names].toSorted().map((name) => {
    const count = devices.get(name);
    return {
      ...known.get(name),
      name,
      agent: agentState(pods.get(name) ?? [], count !== undefined),
      devices: count ?? 0,
    };
  });
}

/** While a node's agent is replaced, it has two pods: the one that is ready counts, then the newest. */
function agentState(pods: readonly AgentPod[], hasDevices: boolean): AgentState {
  const [pod] = pods.toSorted((one, other) =>
    Number(other.ready) - Number(one.ready) ||
    Number(one.terminating) - Number(other.terminating) ||
    (one.created < other.created ? 1 : -1)
  );
  if (!pod) return { state: hasDevices ? "unseen" : "none" };
  if (pod.ready) return { state: "ready", pod };
  const problem = pod.terminating ? "it is being deleted" : pod.problem ?? "it starts";
  return { state: "not-ready", pod, problem };
}
