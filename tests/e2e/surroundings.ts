/** What the runner says to the tests inside the private node, by environment variables. */
import type { ContainerdVersion } from "../support/containerd.ts";

const NAMES = {
  report: "NETWORK_DRA_E2E_REPORT",
  cgroup: "NETWORK_DRA_E2E_CGROUP",
  version: "NETWORK_DRA_E2E_CONTAINERD",
} as const;

export interface Surroundings {
  /** Where the report goes. */
  readonly report: string;
  /** Where pods belong: the runner removes what a run that was broken off leaves of it. */
  readonly cgroup: string;
  /** Of containerd. */
  readonly version: ContainerdVersion;
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
