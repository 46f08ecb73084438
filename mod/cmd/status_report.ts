import type { AttachmentSnapshot, ClaimSnapshot } from "../agent/snapshot/snapshot.ts";
import { describeTime } from "../async/describe_time.ts";
import { printable } from "../async/printable.ts";
import type { AgentStatus, SettingStatus, StatusDocument } from "../status/document.ts";
import { counted, type Problem } from "../status/problems.ts";
import { type Column, table } from "./status_tables.ts";
import { wrapped } from "./wrapped.ts";

/** A status document with the problems found in it: what `-o json` and `-o yaml` print. */
export interface StatusReport extends StatusDocument {
  readonly problems: readonly Problem[];
}

/** How a report is printed for people. */
export interface ReportOptions {
  /** With more columns, all settings, and the sandboxes. */
  readonly wide: boolean;
  /** Characters in a line, for text that is not a table. */
  readonly width: number;
}

/** A report for people: what is wrong first. Pure. */
export function textOf(report: StatusReport, { wide, width }: ReportOptions): string {
  const at = Date.parse(report.at);
  const sections = [
    problemsText(report, { at, width }),
    ...report.agents.map((agent) => agentText(agent, at)),
    titled("ATTACHMENTS", report.attachments, attachmentColumns({ at, wide })),
    titled("CLAIMS", report.claims, claimColumns({ at, wide })),
    titled("DEVICES", report.devices, [
      ["DEVICE", ({ name }) => name],
      ["INTERFACE", ({ interface: link }) => link],
      ["STATE", ({ state }) => state],
      ["CLAIMS", ({ claims }) => `${claims}`],
      ["ATTACHMENTS", ({ attachments }) => `${attachments}`],
    ]),
    ...wide
      ? [titled("SANDBOXES", report.sandboxes, [
        ["SANDBOX", ({ id }) => id],
        ["POD", ({ pod }) => `${pod.namespace}/${pod.name}`],
        ["STATE", ({ state }) => state],
        ["ATTACHMENTS", ({ attachments }) => `${attachments}`],
        ["NETWORK NAMESPACE", ({ netns }) => netns],
      ])]
      : [],
    settingsText(report.settings, wide),
  ];
  return sections.filter((lines) => lines.length > 0).map((lines) => lines.join("\n")).join("\n\n");
}

function problemsText(
  { problems, attachments, claims, source, stateDir }: StatusReport,
  { at, width }: { readonly at: number; readonly width: number },
): string[] {
  const what = `${counted(attachments.length, "attachment")}, ${counted(claims.length, "claim")}`;
  const from = source === "records" ? ` (from the records in ${stateDir})` : "";
  if (problems.length === 0) return [`${what}${from}: nothing is wrong`];
  return [
    `${what}${from}: ${counted(problems.length, "problem")}`,
    ...problems.flatMap(({ about, message, ...more }) => {
      const text = `${about}: ${printable(message)}`;
      const times = timesText(more, at);
      return [
        ...wrapped(text, width - 4).map((line, i) => `${i === 0 ? "  " : "    "}${line}`),
        ...times === "" ? [] : [`    ${times}`],
      ];
    }),
  ];
}

/** `3 tries in 12s; waits for the next try, in 4s` */
function timesText(
  { since, tries, waitsFor, nextTry }: Omit<Problem, "about" | "message">,
  at: number,
): string {
  const lasts = since === undefined ? undefined : age(since, at);
  const failed = tries === undefined
    ? lasts && `for ${lasts}`
    : `${tries} ${tries === 1 ? "try" : "tries"} failed${lasts ? ` in ${lasts}` : ""}`;
  const when = nextTry === undefined ? "" : `, in ${describeTime(Date.parse(nextTry) - at)}`;
  const waits = waitsFor === undefined ? undefined : `waits for ${waitsFor}${when}`;
  return [failed, waits].filter((text) => text !== undefined).join("; ");
}

function agentText(
  { version, node, driver, podUid, startedAt, role, needs }: AgentStatus,
  at: number,
): string[] {
  const pod = podUid === undefined ? "" : `, pod ${podUid}`;
  return [
    `AGENT of ${node} (${driver}), version ${version}: ${role}`,
    `  runs since ${startedAt} (${age(startedAt, at)})${pod}`,
    ...needs.map(({ name, ok, says }) => `  [${ok ? "+" : "-"}] ${name}: ${printable(says)}`),
  ];
}

function attachmentColumns(
  { at, wide }: { readonly at: number; readonly wide: boolean },
): Column<AttachmentSnapshot>[] {
  const short: Column<AttachmentSnapshot>[] = [
    ["POD", ({ pod }) => `${pod.namespace}/${pod.name}`],
    ["INTERFACE", (each) => each.interface],
    ["STATE", ({ state }) => state],
    ["SINCE", ({ since }) => since && age(since, at)],
    ["NETWORK", ({ network }) => network],
  ];
  const waits: Column<AttachmentSnapshot> = ["WAITS FOR", ({ waitsFor }) => waitsFor];
  const addresses: Column<AttachmentSnapshot> = [
    "ADDRESSES",
    ({ addresses }) => addresses.join(","),
  ];
  if (!wide) return [...short, addresses, waits];
  return [
    ...short,
    ["PLUGINS", ({ plugins }) => plugins.join(",")],
    ["DEVICE", ({ device }) => device],
    ["CLAIM", ({ claim }) => `${claim.namespace}/${claim.name}`],
    ["REQUEST", ({ request }) => request],
    ["TRIES", ({ tries }) => tries === undefined ? undefined : `${tries}`],
    ["MAC", ({ mac }) => mac],
    addresses,
    waits,
    ["SANDBOX", ({ sandbox }) => sandbox],
  ];
}

function claimColumns(
  { at, wide }: { readonly at: number; readonly wide: boolean },
): Column<ClaimSnapshot>[] {
  return [
    ["CLAIM", ({ namespace, name }) => `${namespace}/${name}`],
    ["STATE", ({ state }) => state],
    ["SINCE", ({ since }) => since && age(since, at)],
    ["PODS", ({ pods }) => pods.join(",")],
    ["DEVICES", ({ devices }) => [...new Set(devices)].join(",")],
    ["WAITS FOR", ({ waitsFor }) => waitsFor],
    ...wide ? [["UID", ({ uid }) => uid] as const satisfies Column<ClaimSnapshot>] : [],
  ];
}

function settingsText(settings: readonly SettingStatus[], wide: boolean): string[] {
  const shown = wide ? settings : settings.filter(({ from }) => from !== "default");
  const left = settings.length - shown.length;
  const lines = titled("SETTINGS", shown, [
    ["NAME", ({ name }) => name],
    ["VALUE", ({ value }) => typeof value === "string" ? value || '""' : JSON.stringify(value)],
    ["FROM", ({ from, at }) => at === undefined ? from : `${from} (${at})`],
  ]);
  if (left === 0) return lines;
  const rest = `${counted(left, "setting")} ${left === 1 ? "has its" : "have their"} default`;
  return [...lines, `${rest} (-o wide lists ${left === 1 ? "it" : "them"})`];
}

function titled<T>(title: string, rows: readonly T[], columns: readonly Column<T>[]): string[] {
  return rows.length === 0 ? [] : [title, ...table(rows, columns)];
}

function age(since: string, at: number): string {
  return describeTime(at - Date.parse(since));
}
