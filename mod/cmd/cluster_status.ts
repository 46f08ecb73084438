import { systemClock } from "../async/clock.ts";
import { printable } from "../async/printable.ts";
import { type Finding, findingsOf } from "../cluster/findings.ts";
import type { Kind } from "../cluster/objects.ts";
import type { ClaimPhase, ClusterPicture, NetworkView } from "../cluster/picture.ts";
import { type ClusterAccess, sentences, withCluster } from "./cluster_access.ts";
import { printAs } from "./cluster_output.ts";
import { networkLines, phasesText } from "./cluster_tables.ts";
import { CLUSTER_STATUS } from "./commands/cluster.ts";
import { readCommandLine } from "./flag_values.ts";
import { table } from "./status_tables.ts";

const SOMETHING_WRONG = 3;
/** Time between two checks of `--wait`, in milliseconds. */
const WAIT_INTERVAL = 3_000;
/** The most findings that are shown; -o wide, json and yaml show all. */
const MOST_FINDINGS = 20;

const KINDS: readonly Kind[] = [
  "Node",
  "AgentPod",
  "ResourceSlice",
  "DeviceClass",
  "ResourceClaim",
  "Pod",
  "Event",
];

/** `network-dra cluster-status`: agents, devices, networks, claims. Gives the exit code. */
export function clusterStatus(argv: readonly string[]): Promise<number> {
  const { flags } = readCommandLine(CLUSTER_STATUS, argv, (name) => Deno.env.get(name));
  return withCluster(flags, async (cluster) => {
    const { picture, findings, isWell } = flags.wait
      ? await untilWell(cluster, flags.timeout)
      : await look(cluster);
    printAs(flags.output, {
      document: () => documentOf(picture, findings),
      lines: (wide) => statusLines(cluster.server, { picture, findings, wide }),
    });
    return isWell ? 0 : SOMETHING_WRONG;
  });
}

interface Looked {
  readonly picture: ClusterPicture;
  readonly findings: readonly Finding[];
  readonly isWell: boolean;
}

async function look(cluster: ClusterAccess): Promise<Looked> {
  const picture = await cluster.look({
    kinds: KINDS,
    needed: ["ResourceSlice", "ResourceClaim"],
    // The claims themselves name the pods that have them.
    pendingPods: true,
  });
  const findings = findingsOf(picture);
  return { picture, findings, isWell: findings.length === 0 };
}

/** Checks repeatedly, and gives the last result. */
async function untilWell(cluster: ClusterAccess, limitMs: number): Promise<Looked> {
  const until = systemClock.elapsed() + limitMs;
  for (;;) {
    const looked = await look(cluster);
    const starting = looked.picture.claims.filter(({ state }) => state.phase === "attaching");
    const isWell = looked.isWell && starting.length === 0;
    const left = until - systemClock.elapsed();
    if (isWell || left <= 0) return { ...looked, isWell };
    const [first] = looked.findings;
    const what = first
      ? `${first.where}: ${first.what}`
      : `${counted(starting.length, "claim")} attaching`;
    console.error(`Waiting: ${printable(what)}`);
    await systemClock.sleep(Math.min(WAIT_INTERVAL, left));
  }
}

function documentOf(picture: ClusterPicture, findings: readonly Finding[]) {
  const { takenAt, drivers, nodes, networks, classes, unread } = picture;
  return {
    takenAt,
    drivers,
    findings,
    nodes,
    devices: deviceUse(picture),
    networks,
    classes,
    claims: phaseCounts(picture),
    unread,
  };
}

/** The lines that `cluster-status` prints. */
export function statusLines(
  server: string,
  { picture, findings, wide }: Omit<Looked, "isWell"> & { readonly wide: boolean },
): string[] {
  const { nodes, networks, drivers, unread } = picture;
  const shown = wide ? findings : findings.slice(0, MOST_FINDINGS);
  const left = findings.length - shown.length;
  const { published, used, inUse } = deviceUse(picture);
  const publishing = new Set(picture.devices.map(({ node }) => node)).size;
  return [
    ...section("Wrong", [
      ...shown.flatMap(({ level, where, what, whatToDo }) => [
        `${level === "error" ? "✗" : "!"} ${where}: ${what}`,
        ...whatToDo === undefined ? [] : [`  to do: ${whatToDo}`],
      ]),
      ...left > 0 ? [`  … and ${left} more; -o wide shows all`] : [],
    ]),
    ...section("Not shown", sentences(unread)),
    `Cluster:  ${server}, driver ${drivers.join(", ")}`,
    `Agents:   ${agentsText(picture)}`,
    `Devices:  ${published} on ${counted(publishing, "node")}, ${inUse} in use by ` +
    counted(used, "attachment"),
    `Networks: ${networks.length}`,
    `Claims:   ${picture.claims.length}${parenthesized(phasesText(phaseCounts(picture)))}`,
    ...wide ? ["", ...nodeLines(nodes)] : [],
    ...networks.length > 0 ? ["", ...networkLines(networks, wide)] : [],
  ].map(printable);
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`), ""];
}

function parenthesized(text: string): string {
  return text === "" ? "" : ` (${text})`;
}

function counted(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

/** `3 of 3 nodes ready (0.1.0: 3)` */
function agentsText({ nodes, unread }: ClusterPicture): string {
  if (unread.some(({ kind }) => kind === "AgentPod")) {
    const publishing = nodes.filter(({ devices }) => devices > 0).length;
    return `not shown; devices on ${counted(publishing, "node")}`;
  }
  const with_ = nodes.filter(({ agent }) => agent.state !== "none");
  const ready = with_.filter(({ agent }) => agent.state === "ready");
  const unseen = with_.filter(({ agent }) => agent.state === "unseen").length;
  const versions = new Map<string, number>();
  for (const { agent } of ready) {
    const version = agent.state === "ready" ? agent.pod.version ?? "unknown version" : "";
    versions.set(version, (versions.get(version) ?? 0) + 1);
  }
  const byVersion = [...versions].toSorted().map(([version, count]) => `${version}: ${count}`);
  const outside = unseen > 0
    ? `, devices without a pod of the agent on ${counted(unseen, "node")}`
    : "";
  const without = nodes.length - with_.length;
  const bare = without > 0 ? `, none on ${counted(without, "node")}` : "";
  return `${ready.length} of ${with_.length - unseen} ready${
    parenthesized(byVersion.join(", "))
  }${outside}${bare}`;
}

function nodeLines(nodes: ClusterPicture["nodes"]): string[] {
  return table(nodes, [
    ["NODE", ({ name }) => name],
    ["AGENT", ({ agent }) => agent.state],
    ["VERSION", ({ agent }) => "pod" in agent ? agent.pod.version : ""],
    ["POD", ({ agent }) => "pod" in agent ? agent.pod.name : ""],
    ["DEVICES", ({ devices }) => `${devices}`],
    ["KUBELET", ({ kubelet }) => kubelet],
    ["RUNTIME", ({ runtime }) => runtime],
  ]);
}

function deviceUse({ devices }: ClusterPicture) {
  const used = devices.reduce((sum, { claims }) => sum + claims.length, 0);
  const inUse = devices.filter(({ claims }) => claims.length > 0).length;
  return { published: devices.length, inUse, used };
}

function phaseCounts({ claims }: ClusterPicture): NetworkView["phases"] {
  const counts: Partial<Record<ClaimPhase, number>> = {};
  for (const { state: { phase } } of claims) counts[phase] = (counts[phase] ?? 0) + 1;
  return counts;
}
