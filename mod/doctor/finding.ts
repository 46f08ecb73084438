/** The kinds of checks, in the order in which they are shown. */
export const CHECKS = [
  "api",
  "rights",
  "admission",
  "agents",
  "versions",
  "runtimes",
  "plugins",
  "policy",
  "claims",
  "records",
  "mtu",
  "clocks",
] as const;

export type CheckName = typeof CHECKS[number];

/** "error": networks do not work; "warning": they may not; "note": good to know. */
export type Level = "error" | "warning" | "note";

/** Something that is wrong, or may be. */
export interface Finding {
  readonly level: Level;
  /** Such as `cluster`, `node node-1` or `DeviceClass storage`. */
  readonly where: string;
  /** A sentence without a full stop. */
  readonly what: string;
  /** The same form: how to mend it. */
  readonly whatToDo: string;
}

/** Something that was not looked at. It is not known to be well. */
export interface Unknown {
  /** Such as `the clocks of nodes`. */
  readonly what: string;
  /** A sentence without a full stop. */
  readonly why: string;
}

/** What a check says. */
export interface Checked {
  readonly findings: readonly Finding[];
  readonly unknown: readonly Unknown[];
  /** What was found to be well, in a few words; absent where nothing was looked at. */
  readonly well?: string;
}

/** A check with what it says. */
export interface NamedCheck extends Checked {
  readonly check: CheckName;
}
