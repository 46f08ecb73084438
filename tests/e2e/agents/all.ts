import type { AgentKind, StartAgent } from "./agent.ts";
import { DaemonSetAgent } from "./daemonset_agent.ts";
import { ProcessAgent } from "./process_agent.ts";

export const STARTS: Readonly<Record<AgentKind, StartAgent>> = {
  DaemonSet: DaemonSetAgent.start,
  process: ProcessAgent.start,
};
