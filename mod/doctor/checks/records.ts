import type { Checked, Finding, Unknown } from "../finding.ts";
import { counted, nodesText } from "../nodes_text.ts";
import { type ClusterSeen, mayHaveAgents } from "../seen.ts";

/** Whether agents keep records of pods and claims that are gone. */
export function checkRecords({ records, agents, objects, picture }: ClusterSeen): Checked {
  const findings: Finding[] = [];
  const unknown: Unknown[] = [];
  for (const { node, kind, namespace, name, holds, there } of records) {
    if (there.state === "unseen") {
      unknown.push({ what: `whether ${kind} ${namespace}/${name} is there`, why: there.why });
    } else if (!there.value) {
      findings.push({
        level: "warning",
        where: `node ${node}`,
        what: `the agent has a record of ${kind} ${namespace}/${name}, which is gone: ${holds}`,
        whatToDo: "wait a minute: the agent removes it with its leases. If it stays, see " +
          "network-dra help forget",
      });
    }
  }
  const told = agents.filter((each) => each.told.state === "told");
  if (agents.length > told.length) {
    const names = agents.filter((each) => each.told.state === "untold").map(({ node }) => node);
    unknown.push({
      what: "records without a pod or a claim",
      why: `no agent tells them of ${nodesText(names)}`,
    });
  }
  const isListed = objects.Pod.state === "read" && objects.ResourceClaim.state === "read";
  if (!isListed) {
    const why = "Pods or ResourceClaims cannot be read";
    unknown.push({ what: "records without a pod or a claim", why });
  } else if (agents.length === 0 && mayHaveAgents(picture)) {
    const why = "no agent is ready that could tell them";
    unknown.push({ what: "records without a pod or a claim", why });
  }
  if (!isListed || told.length === 0) return { findings, unknown };
  return {
    findings,
    unknown,
    well: `all that ${
      counted(told.length, "agent has", "agents have")
    } on record belongs to pods and claims that are there`,
  };
}
