import type { LeaseStatus } from "../../status/document.ts";
import type { Checked, Finding, Unknown } from "../finding.ts";
import { counted, nodesText } from "../nodes_text.ts";
import { type AgentSeen, type ClusterSeen, mayHaveAgents } from "../seen.ts";

/** Whether agents, or host-local, keep something for pods and claims that are gone. */
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
  findings.push(...agents.flatMap(leaseFindings));
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

/** Addresses that nobody uses and nobody frees. */
function leaseFindings({ node, pod, told }: AgentSeen): Finding[] {
  if (told.state !== "told") return [];
  const byNetwork = Map.groupBy(told.document.leases ?? [], ({ network }) => network);
  return [...byNetwork].map(([network, leases]): Finding => {
    const [{ address, sandbox, path }] = leases as [LeaseStatus];
    const more = leases.length > 1 ? ` and ${leases.length - 1} more` : "";
    return {
      level: "warning",
      where: `node ${node}`,
      what: `host-local holds the address ${address}${more} of the network ` +
        `${JSON.stringify(network)} for the sandbox ${sandbox}, which the agent does not know: ` +
        "nobody frees it",
      whatToDo: "if crictl pods on the node does not list the sandbox, delete the file: " +
        `kubectl -n ${pod.namespace} exec ${pod.name} -- /network-dra status lists all of them, ` +
        `such as ${path}`,
    };
  });
}
