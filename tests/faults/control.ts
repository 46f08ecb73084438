import type { CrashPoint } from "./schedule.ts";

/** What the harness tells an agent that runs from agent_entry.ts, by a file of JSON. */
export interface Control {
  /** Where it dies, the next time that it comes there. */
  readonly crash?: CrashPoint;
  /** How far its clock is off, in milliseconds. */
  readonly clock?: number;
  /** How it is broken on purpose. */
  readonly sabotage?: Sabotage;
}

/** Breaks of the agent, each of which the harness must notice. */
export const SABOTAGES = [
  "forgets DEL",
  "opens the gate early",
  "lets containers start early",
  "deletes what lives",
  "writes no status",
  "takes others' entries",
  "runs two operations at once",
  "keeps records",
  "keeps descriptors",
  "frees addresses before DEL",
  "keeps addresses after DEL",
  "takes addresses off record",
] as const;
export type Sabotage = typeof SABOTAGES[number];
