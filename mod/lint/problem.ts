/** Who would report it on a cluster. */
export type Rule =
  | "api-server"
  | "scheduler"
  | "agent"
  | "policy"
  | "driver"
  | "reference"
  | "not-run";

/** Something that `lint` found. */
export interface Problem {
  /** An error fails on every cluster; a warning depends on what else the cluster has. */
  readonly level: "error" | "warning";
  readonly rule: Rule;
  readonly file: string;
  readonly line: number;
  /** Counted from 1; only if the YAML cannot be read. */
  readonly column?: number;
  /** `ResourceClaim lan` */
  readonly object: string;
  readonly message: string;
}

/** What each rule is about, for reports. */
export const RULES: Readonly<Record<Rule, string>> = {
  "api-server": "The API server refuses the object.",
  scheduler: "The scheduler finds no device for the claim.",
  agent: "The agent cannot prepare the claim.",
  policy: "The agent's policy refuses what the claim asks for.",
  driver: "The configuration is for a driver whose devices the claim cannot get.",
  reference: "The object names another that is not in the files.",
  "not-run": "network-dra does nothing with it.",
};
