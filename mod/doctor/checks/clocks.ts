import type { Checked, Finding, Unknown } from "../finding.ts";
import { nodesText } from "../nodes_text.ts";
import type { ClusterSeen } from "../seen.ts";

/** Clocks may differ by this, in milliseconds: they are compared to about a second. */
const TOLERATED_MS = 5_000;
/** What a kubelet writes may take 10 s to the API server (its time-out), and seems late by as much. */
const TOLERATED_BEHIND_MS = TOLERATED_MS + 10_000;

/** Whether the clocks of the nodes, of this machine and of the API server agree. */
export function checkClocks({ clocks, api, picture }: ClusterSeen): Checked {
  const findings: Finding[] = [];
  const unknown: Unknown[] = [];
  const ahead = api.state === "seen" ? api.value.clockAhead : undefined;
  if (ahead === undefined) {
    const why = api.state === "unseen" ? api.why : "the API server's answers have no date";
    unknown.push({ what: "the clock of this machine", why });
  } else if (Math.abs(ahead) > TOLERATED_MS) {
    findings.push({
      level: "warning",
      where: "this machine",
      what: `its clock is ${describe(-ahead)} that of the API server: times that are shown here, ` +
        "such as since when, are off by as much",
      whatToDo: "set the clock, for example with chrony",
    });
  }
  if (clocks.state === "unseen") {
    unknown.push({ what: "the clocks of nodes", why: clocks.why });
    return { findings, unknown };
  }
  const known = new Map(clocks.value.map((each) => [each.node, each.ahead]));
  const wanted = picture.nodes;
  const untold = wanted.filter(({ name }) => !known.has(name)).map(({ name }) => name);
  if (untold.length > 0) {
    const why = "no lease in kube-node-lease tells them";
    unknown.push({ what: `the clock of ${nodesText(untold)}`, why });
  }
  for (const { name } of wanted) {
    const off = known.get(name);
    if (off === undefined || off <= TOLERATED_MS && -off <= TOLERATED_BEHIND_MS) continue;
    findings.push({
      level: "warning",
      where: `node ${name}`,
      what: `its clock is ${describe(off)} that of the API server: certificates, tokens and ` +
        "leases of addresses may count as expired or as not valid yet",
      whatToDo: "set the clock of the node, for example with chrony",
    });
  }
  if (untold.length === wanted.length) return { findings, unknown };
  return { findings, unknown, well: "clocks agree" };
}

/** `12 s ahead of` */
function describe(ahead: number): string {
  const seconds = Math.round(Math.abs(ahead) / 1000);
  return `${seconds} s ${ahead > 0 ? "ahead of" : "behind"}`;
}
