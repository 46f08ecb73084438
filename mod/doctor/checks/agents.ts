import { agentFindings } from "../../cluster/findings.ts";
import type { SliceObject } from "../../cluster/objects.ts";
import type { Checked, Finding, Unknown } from "../finding.ts";
import { nodesText } from "../nodes_text.ts";
import { type AgentSeen, type ClusterSeen, isInstalled, mayHaveAgents } from "../seen.ts";

/** An agent that was restarted this often is said to. */
const MANY_RESTARTS = 3;
/** The need that the check of runtimes tells of. */
export const NRI_NEED = "NRI";

/** Whether each node's agent runs, is registered, has what it needs, and has published its devices. */
export function checkAgents({ picture, whole, slices, agents }: ClusterSeen): Checked {
  // Where nobody asks for the driver yet, it is not missed.
  const isMissed = whole.classes.length > 0 || whole.claims.length > 0;
  const findings = agentFindings(picture).map((finding): Finding => ({
    whatToDo: "see docs/how-to/troubleshooting.md",
    ...finding,
    ...(!isInstalled(whole) && !isMissed && { level: "note" }),
  }));
  const { nodes } = picture;
  if (!isInstalled(whole)) return { findings, unknown: [] };
  const bare = nodes.filter(({ agent }) => agent.state === "none").map(({ name }) => name);
  if (bare.length > 0) {
    findings.push({
      level: "note",
      where: nodesText(bare),
      what: "no agent runs there, so that no pod with a network can",
      whatToDo: "nothing if that is meant; else see the nodeSelector and the tolerations of the " +
        "DaemonSet",
    });
  }
  const unknown: Unknown[] = [];
  const unseen = nodes.filter(({ agent }) => agent.state === "unseen").map(({ name }) => name);
  if (unseen.length > 0) {
    const why = "no pod of it is to be seen: it runs as a process of the node, or is gone";
    unknown.push({ what: `the agent of ${nodesText(unseen)}`, why });
  }
  for (const { name, agent } of nodes) {
    if ("pod" in agent && agent.pod.restarts >= MANY_RESTARTS) {
      findings.push({
        level: "warning",
        where: `node ${name}`,
        what: `the agent was restarted ${agent.pod.restarts} times`,
        whatToDo: `kubectl -n ${agent.pod.namespace} logs ${agent.pod.name} --previous`,
      });
    }
  }
  if (bare.length === nodes.length && mayHaveAgents(picture)) {
    unknown.push({ what: "agents", why: "neither their pods nor their devices are to be seen" });
  }
  findings.push(...incompletePools(slices));
  findings.push(...agents.flatMap(toldFindings));
  unknown.push(...untold(agents));
  const ready = nodes.filter(({ agent }) => agent.state === "ready").length;
  const asked = agents.filter(({ told }) => told.state === "told").length;
  return {
    findings,
    unknown,
    ...(ready > 0 && {
      well: `${ready} ready, with their devices published; ${asked} of ${ready} have told what ` +
        "they need",
    }),
  };
}

/** Those that tell nothing, by why. */
function untold(agents: readonly AgentSeen[]): Unknown[] {
  const silent = agents.flatMap(({ node, told }) =>
    told.state === "untold" ? [{ node, why: told.why }] : []
  );
  return [...Map.groupBy(silent, ({ why }) => why)].map(([why, all]) => ({
    what: `what the agent says of ${nodesText(all.map(({ node }) => node))}`,
    why,
  }));
}

function toldFindings({ node, pod, told }: AgentSeen): Finding[] {
  if (told.state !== "told") return [];
  const { document: { source, agents } } = told;
  const logs = `kubectl -n ${pod.namespace} logs ${pod.name}`;
  const where = `node ${node}`;
  if (source !== "agent") {
    const what = "no agent answers on the node, or none of it leads: only its records are known";
    return [{ level: "error", where, what, whatToDo: logs }];
  }
  return agents.flatMap(({ role, needs }) =>
    needs.filter(({ name, ok }) => !ok && name !== NRI_NEED).map(({ name, says }): Finding => ({
      level: role === "leads" ? "error" : "warning",
      where,
      what: `the agent lacks something: ${name}: ${says}`,
      whatToDo: `what the message says; the log has more: ${logs}`,
    }))
  );
}

/** Pools of which slices are missing: the scheduler uses none of their devices. */
function incompletePools(slices: readonly SliceObject[]): Finding[] {
  const pools = Map.groupBy(slices, ({ driver, pool }) => `${driver} ${pool}`);
  return [...pools.values()].flatMap((all): Finding[] => {
    const generation = Math.max(...all.map((each) => each.generation));
    const current = all.filter((each) => each.generation === generation);
    const { slicesInPool, pool, node } = current[0]!;
    if (current.length >= slicesInPool) return [];
    return [{
      level: "warning",
      where: node === undefined ? `pool ${pool}` : `node ${node}`,
      what: `only ${current.length} of ${slicesInPool} ResourceSlices of the pool ${pool} are ` +
        "there: the scheduler uses none of its devices",
      whatToDo: "wait a minute; if it stays so, restart the agent of the node",
    }];
  });
}
