import { checkAdmission } from "./checks/admission.ts";
import { checkAgents } from "./checks/agents.ts";
import { checkApi } from "./checks/api.ts";
import { checkClaims } from "./checks/claims.ts";
import { checkClocks } from "./checks/clocks.ts";
import { checkMtu } from "./checks/mtu.ts";
import { checkPlugins } from "./checks/plugins.ts";
import { checkPolicy } from "./checks/policy.ts";
import { checkRecords } from "./checks/records.ts";
import { checkRights } from "./checks/rights.ts";
import { checkRuntimes } from "./checks/runtimes.ts";
import { checkVersions } from "./checks/versions.ts";
import { type Checked, type CheckName, CHECKS, type Level, type NamedCheck } from "./finding.ts";
import type { ClusterSeen } from "./seen.ts";

/** How a check, or all of them together, came out. */
export type Verdict =
  | "well"
  /** An error or a warning was found. */
  | "wrong"
  /** Nothing was found, but not everything was looked at. */
  | "unknown";

/** Carries out all checks. Pure. @param own the version of this program */
export function examine(seen: ClusterSeen, own: string): NamedCheck[] {
  const checks: Readonly<Record<CheckName, () => Checked>> = {
    api: () => checkApi(seen),
    rights: () => checkRights(seen),
    admission: () => checkAdmission(seen),
    agents: () => checkAgents(seen),
    versions: () => checkVersions(seen, own),
    runtimes: () => checkRuntimes(seen),
    plugins: () => checkPlugins(seen),
    policy: () => checkPolicy(seen),
    claims: () => checkClaims(seen),
    records: () => checkRecords(seen),
    mtu: () => checkMtu(seen),
    clocks: () => checkClocks(seen),
  };
  return CHECKS.map((check) => ({ check, ...checks[check]() }));
}

const LEVELS: readonly Level[] = ["error", "warning", "note"];

/** The worst first. */
export function byLevel<T extends { readonly level: Level }>(findings: readonly T[]): T[] {
  return LEVELS.flatMap((level) => findings.filter((each) => each.level === level));
}

/** How checks came out. */
export function verdictOf(checks: readonly Checked[]): Verdict {
  const isWrong = checks.some(({ findings }) => findings.some(({ level }) => level !== "note"));
  if (isWrong) return "wrong";
  return checks.some(({ unknown }) => unknown.length > 0) ? "unknown" : "well";
}
