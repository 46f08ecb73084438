import type { AgentProcess } from "../../support/agent_process.ts";
import type { ControlPlane } from "../control_plane.ts";
import type { ClusterNode } from "../cluster_node.ts";

export type LogLine = AgentProcess["lines"][number];
export type Signal = "SIGTERM" | "SIGKILL";

/** As users run it, or from source. */
export type AgentKind = "DaemonSet" | "process";

/** The agent of a cluster, however it runs on the nodes. What it is asked for is done when it is ready. */
export interface Agent {
  /** What all of its processes logged that ran. */
  readonly lines: readonly LogLine[];
  /** It ends by the signal and comes back. */
  restart(signal: Signal): Promise<void>;
  /** The same; `body` runs while it is away. */
  away(signal: Signal, body: () => Promise<void>): Promise<void>;
  /** A rolling update: a new one starts beside it, which ends when the new one is ready. */
  update(): Promise<void>;
  /** Is uninstalled and installed under another driver's name, as the chart does for that. */
  reinstall(driver: string): Promise<void>;
  stop(): Promise<void>;
}

/** What it runs on. */
export interface AgentContext {
  readonly plane: ControlPlane;
  readonly nodes: readonly ClusterNode[];
  /** For its own files. */
  readonly folder: string;
}

export type StartAgent = (context: AgentContext) => Promise<Agent>;

/** The settings in the configuration file: they open the cases' own plugins to claims. */
export const SETTINGS = {
  policy: {
    plugins: Object.fromEntries(
      ["bare", "flaky", "late", "slow", "sticky"].map((type) => [type, true]),
    ),
  },
};
