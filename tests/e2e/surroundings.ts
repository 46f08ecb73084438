/** What the runner says to the tests inside the private node, by environment variables. */
import type { RuntimeName } from "../support/runtimes.ts";
import type { AgentKind } from "./agents/agent.ts";
import type { KubernetesVersion } from "./kubernetes_programs.ts";

const NAMES = {
  tests: "NETWORK_DRA_E2E_TESTS",
  report: "NETWORK_DRA_E2E_REPORT",
  cgroup: "NETWORK_DRA_E2E_CGROUP",
  kubernetes: "NETWORK_DRA_E2E_KUBERNETES",
  runtime: "NETWORK_DRA_E2E_RUNTIME",
  agent: "NETWORK_DRA_E2E_AGENT",
  nodes: "NETWORK_DRA_E2E_NODES",
  cases: "NETWORK_DRA_E2E_CASES",
} as const;

export interface Surroundings {
  /** The file of the tests. */
  readonly tests: string;
  /** Where the report goes. */
  readonly report: string;
  /** Where pods belong: the runner removes what a run that was broken off leaves of it. */
  readonly cgroup: string;
  readonly kubernetes: KubernetesVersion;
  readonly runtime: RuntimeName;
  readonly agent: AgentKind;
  readonly nodes: "1" | "2";
  /** The names of the cases to run, a JSON list. */
  readonly cases: string;
}

export function toEnvironment(surroundings: Surroundings): Record<string, string> {
  const keys = Object.keys(NAMES) as (keyof Surroundings)[];
  return Object.fromEntries(keys.map((key) => [NAMES[key], surroundings[key]]));
}

export function fromEnvironment(): Surroundings {
  const keys = Object.keys(NAMES) as (keyof Surroundings)[];
  const values = Object.fromEntries(keys.map((key) => [key, Deno.env.get(NAMES[key])]));
  return values as unknown as Surroundings;
}
