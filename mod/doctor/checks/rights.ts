import type { Checked, Finding, Unknown } from "../finding.ts";
import { nodesText } from "../nodes_text.ts";
import { describeRight } from "../rights.ts";
import { type ClusterSeen, isInstalled, type RightSeen } from "../seen.ts";

/** Whether agents have the rights that they need, or before they run, the user those to install them. */
export function checkRights(
  { picture, whole, accounts, installRights }: ClusterSeen,
): Checked {
  if (!isInstalled(whole)) return installation(installRights);
  const findings: Finding[] = [];
  const unknown: Unknown[] = [];
  for (const { account: { namespace, name }, rights } of accounts) {
    const where = `ServiceAccount ${namespace}/${name}`;
    if (rights.state === "unseen") {
      unknown.push({ what: `the rights of ${where}`, why: rights.why });
    } else findings.push(...lacking(rights.value).map((each) => agentFinding(where, each)));
  }
  const outside = picture.nodes.filter(({ agent }) => agent.state === "unseen");
  if (outside.length > 0) {
    unknown.push({
      what: "the rights of agents that run outside pods",
      why: `it is not known as whom they ask the API server, on ${
        nodesText(outside.map(({ name }) => name))
      }`,
    });
  }
  if (accounts.length === 0 && outside.length === 0) {
    const why = "no pod of an agent is to be seen, whose ServiceAccount has them";
    unknown.push({ what: "the rights of agents", why });
  }
  const seen = accounts.filter(({ rights }) => rights.state === "seen");
  if (seen.length === 0) return { findings, unknown };
  return { findings, unknown, well: "the agents have all rights that they need" };
}

/** @param rights of the user */
function installation(rights: ClusterSeen["installRights"]): Checked {
  if (rights?.state !== "seen") {
    const why = rights?.why ?? "they were not asked for";
    return { findings: [], unknown: [{ what: "your rights to install the driver", why }] };
  }
  return {
    findings: lacking(rights.value).map(({ needed, verbs }) => ({
      level: "warning",
      where: "your user",
      what: `you may not ${verbs}, which the chart needs to ${needed}`,
      whatToDo: "have an administrator of the cluster install the chart",
    })),
    unknown: [],
    well: "you have the rights to install the chart into kube-system",
  };
}

function agentFinding(where: string, { needed, verbs }: Lacking): Finding {
  return {
    level: "error",
    where,
    what: `it may not ${verbs}, so that the agents cannot ${needed}`,
    whatToDo: "give it the rules of the chart's ClusterRole: helm upgrade puts them back",
  };
}

interface Lacking {
  readonly needed: string;
  /** Such as `create daemonsets in kube-system`, several with commas. */
  readonly verbs: string;
}

/** What is lacking, by what it is needed for. */
function lacking(rights: readonly RightSeen[]): Lacking[] {
  const denied = rights.filter(({ allowed }) => !allowed);
  return [...Map.groupBy(denied, ({ needed }) => needed)].map(([needed, all]) => ({
    needed,
    verbs: all.map(describeRight).join(", "),
  }));
}
