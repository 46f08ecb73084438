import type { NodeView } from "../../cluster/picture.ts";
import type { Checked, Finding, Unknown } from "../finding.ts";
import { nodesText } from "../nodes_text.ts";
import { type ClusterSeen, isInstalled } from "../seen.ts";
import { compareVersions, type Version, versionOf } from "../versions.ts";
import { NRI_NEED } from "./agents.ts";

const ENABLE = "turn NRI and CDI on in its configuration and restart it: deploy/README.md says how";

/** Since when a runtime has NRI and CDI, and since when both are on unless they are turned off. */
const RUNTIMES: Readonly<Record<string, { readonly has: Version; readonly on: Version }>> = {
  containerd: { has: [1, 7], on: [2, 0] },
  "cri-o": { has: [1, 26], on: [1, 30] },
};

/** Whether the container runtime of each node has NRI and CDI turned on. */
export function checkRuntimes(seen: ClusterSeen): Checked {
  const { picture, whole } = seen;
  const findings: Finding[] = [];
  const unknown: Unknown[] = [];
  const silent: { readonly name: string; readonly why: string }[] = [];
  const nodes = picture.nodes.filter(({ agent }) => !isInstalled(whole) || agent.state !== "none");
  for (const node of nodes) {
    const nri = nriOf(seen, node.name);
    if (nri === undefined) {
      const { finding, why } = byVersion(node);
      if (finding) findings.push(finding);
      if (why !== undefined) silent.push({ name: node.name, why });
    } else if (!nri.ok) {
      findings.push({
        level: "error",
        where: `node ${node.name}`,
        what: `${node.runtime ?? "the container runtime"}: the agent has no connection by NRI: ` +
          nri.says,
        whatToDo: "turn NRI on in the runtime's configuration and restart it, or set the chart's " +
          "value nriSocket if its socket is elsewhere",
      });
    }
  }
  findings.push(...cdiFindings(seen));
  if (picture.nodes.length === 0) {
    unknown.push({ what: "NRI and CDI on nodes", why: "no node is to be seen" });
  }
  for (const [why, all] of Map.groupBy(silent, ({ why }) => why)) {
    unknown.push({ what: `NRI and CDI on ${nodesText(all.map(({ name }) => name))}`, why });
  }
  return {
    findings,
    unknown,
    ...(nodes.length > silent.length && {
      well: "the container runtimes have NRI and CDI turned on",
    }),
  };
}

/** What the agent says of NRI; undefined where it says nothing. */
function nriOf({ agents }: ClusterSeen, name: string) {
  const told = agents.find(({ node }) => node === name)?.told;
  if (told?.state !== "told") return undefined;
  const needs = told.document.agents.flatMap((agent) => agent.needs);
  return needs.find((need) => need.name === NRI_NEED);
}

/** What the runtime's version tells, where no agent does. */
function byVersion(
  { name, runtime }: NodeView,
): { readonly finding?: Finding; readonly why?: string } {
  const [kind = "", text = ""] = runtime?.split("://") ?? [];
  const known = RUNTIMES[kind];
  const version = versionOf(text);
  if (runtime === undefined) {
    return { why: "the node does not say which container runtime it has, or nodes cannot be read" };
  }
  const where = `node ${name}`;
  if (kind === "docker") {
    const what = `${runtime} has no NRI`;
    return { finding: { level: "error", where, what, whatToDo: "use containerd or CRI-O" } };
  }
  if (!known || !version) return { why: `it is not known of ${runtime}` };
  if (compareVersions(version, known.has) < 0) {
    const what = `${runtime} has no NRI, or one that is too old`;
    const whatToDo = "use containerd 2.0, CRI-O 1.30 or later";
    return { finding: { level: "error", where, what, whatToDo } };
  }
  if (compareVersions(version, known.on) < 0) {
    return {
      why: `${runtime} has both turned off unless its configuration turns them on, and no agent ` +
        `tells; ${ENABLE}`,
    };
  }
  return {};
}

/** Pods that the runtime does not start because it does not know CDI. */
function cdiFindings({ picture: { pods } }: ClusterSeen): Finding[] {
  const unresolved = pods.filter(({ waiting }) =>
    waiting.some(({ message }) => message !== undefined && /unresolvable CDI devices/.test(message))
  );
  const byNode = Map.groupBy(unresolved, ({ node }) => node);
  return [...byNode].map(([node, all]): Finding => {
    const { namespace, name } = all[0]!;
    return {
      level: "error",
      where: node === undefined ? "cluster" : `node ${node}`,
      what:
        `the container runtime resolves no CDI devices, such as those of pod ${namespace}/${name}`,
      whatToDo: "turn CDI on in the runtime's configuration and restart it, or set the chart's " +
        "value cdiDir to a folder that the runtime reads",
    };
  });
}
