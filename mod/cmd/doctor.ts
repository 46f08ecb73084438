import { printable } from "../async/printable.ts";
import { byLevel, examine, type Verdict, verdictOf } from "../doctor/doctor.ts";
import type { Finding, Level, NamedCheck, Unknown } from "../doctor/finding.ts";
import { gather } from "../doctor/gather.ts";
import { type ClusterSeen, isInstalled } from "../doctor/seen.ts";
import { KubeDoctorApi } from "../kube/doctor_api.ts";
import { KubeObjectSource } from "../kube/object_source.ts";
import { KubePodExec } from "../kube/pod_exec.ts";
import { LIST_LIMIT_MS, withConnection } from "./cluster_access.ts";
import { DOCTOR } from "./commands/cluster.ts";
import { readCommandLine } from "./flag_values.ts";
import { assertKnownNode } from "./known_node.ts";
import { VERSION } from "./version.ts";

const EXIT_CODES: Readonly<Record<Verdict, number>> = { well: 0, wrong: 3, unknown: 4 };
/** So many findings of a check, and so many things that were not looked at, are shown; json has all. */
const MOST_SHOWN = 20;

/** `network-dra doctor`: a check-up of a cluster. Gives the exit code. */
export function doctor(argv: readonly string[]): Promise<number> {
  const { flags } = readCommandLine(DOCTOR, argv, (name) => Deno.env.get(name));
  const { node, driverName, agentTimeout } = flags;
  return withConnection(flags, async (connection) => {
    const seen = await gather({
      objects: new KubeObjectSource(connection),
      api: new KubeDoctorApi(connection),
      exec: new KubePodExec(connection),
    }, {
      ...(driverName !== undefined && { driver: driverName }),
      ...(node !== undefined && { node }),
      now: () => new Date(),
      agentLimitMs: agentTimeout,
      signal: AbortSignal.timeout(LIST_LIMIT_MS),
    });
    assertKnownNode(seen.whole, node);
    const checks = examine(seen, VERSION);
    if (flags.output === "json") console.log(JSON.stringify(documentOf(seen, checks), null, 2));
    else console.log(doctorLines(connection.server, { seen, checks }).join("\n"));
    return EXIT_CODES[verdictOf(checks)];
  });
}

function documentOf({ whole: picture, node }: ClusterSeen, checks: readonly NamedCheck[]) {
  const { takenAt, drivers } = picture;
  return {
    takenAt,
    drivers,
    ...(node !== undefined && { node }),
    mode: isInstalled(picture) ? "check-up" : "preflight",
    verdict: verdictOf(checks),
    checks: checks.map((each) => ({ ...each, verdict: verdictOf([each]) })),
  };
}

const MARKS: Readonly<Record<Level, string>> = { error: "✗", warning: "!", note: "i" };

/** The lines that `doctor` prints. */
export function doctorLines(
  server: string,
  { seen: { whole: picture, node }, checks }: {
    readonly seen: Pick<ClusterSeen, "whole" | "node">;
    readonly checks: readonly NamedCheck[];
  },
): string[] {
  const only = node === undefined ? "" : `, node ${node}`;
  const mode = isInstalled(picture) ? "Check-up" : "Preflight (no agent runs)";
  return [
    `${mode} of ${server}, driver ${picture.drivers.join(", ")}${only}`,
    "",
    ...checks.flatMap(checkLines),
    "",
    ...notLookedAt(checks),
    countsLine(checks),
  ].map(printable);
}

function checkLines(check: NamedCheck): string[] {
  const findings = byLevel(check.findings);
  const shown = findings.slice(0, MOST_SHOWN);
  return [
    `${markOf(check)} ${check.check.padEnd(WIDTH)} ${headOf(check)}`.trimEnd(),
    ...shown.flatMap(findingLines),
    ...moreLine(findings.length - shown.length),
  ];
}

/** Of the longest name of a check. */
const WIDTH = "admission".length;

function markOf(check: NamedCheck): string {
  switch (verdictOf([check])) {
    case "wrong":
      return check.findings.some(({ level }) => level === "error") ? MARKS.error : MARKS.warning;
    case "unknown":
      return "?";
    case "well":
      return check.well === undefined ? "-" : "✓";
  }
}

function headOf(check: NamedCheck): string {
  switch (verdictOf([check])) {
    case "wrong":
      return "";
    case "unknown":
      return check.well === undefined ? "not looked at" : "not everything was looked at";
    case "well":
      return check.well ?? "nothing to look at where no agent runs";
  }
}

function findingLines({ level, where, what, whatToDo }: Finding): string[] {
  return [
    `  ${MARKS[level]} ${where}: ${what}`,
    `    to do: ${whatToDo}`,
  ];
}

function notLookedAt(checks: readonly NamedCheck[]): string[] {
  const all = checks.flatMap(({ unknown }) => unknown.map(unknownText));
  // Several checks can lack the same.
  const texts = [...new Set(all)];
  if (texts.length === 0) return [];
  const shown = texts.slice(0, MOST_SHOWN).map((text) => `  ? ${text}`);
  return ["Not looked at:", ...shown, ...moreLine(texts.length - shown.length), ""];
}

function unknownText({ what, why }: Unknown): string {
  return `${what}: ${why}`;
}

function moreLine(left: number): string[] {
  return left > 0 ? [`  … and ${left} more; -o json shows all`] : [];
}

/** `1 error, 2 warnings, 0 notes; 3 things were not looked at` */
function countsLine(checks: readonly NamedCheck[]): string {
  const levels = checks.flatMap(({ findings }) => findings.map(({ level }) => level));
  const count = (level: Level) => levels.filter((each) => each === level).length;
  const counts = (["error", "warning", "note"] as const).map((level) => {
    const number = count(level);
    return `${number} ${level}${number === 1 ? "" : "s"}`;
  });
  const unknown = new Set(checks.flatMap((each) => each.unknown.map(unknownText))).size;
  const rest = unknown === 0
    ? "everything was looked at"
    : unknown === 1
    ? "1 thing was not looked at"
    : `${unknown} things were not looked at`;
  return `${counts.join(", ")}; ${rest}`;
}
