import type { Command } from "./command.ts";
import { CLUSTER_STATUS, DEVICES, DOCTOR, EXPLAIN, NETWORKS, PODS } from "./commands/cluster.ts";
import { TEST } from "./commands/connectivity.ts";
import { FORGET } from "./commands/forget.ts";
import { COMPLETION, HELP, VERSION } from "./commands/general.ts";
import { INSTALL_PLUGINS } from "./commands/install_plugins.ts";
import { LINT } from "./commands/lint.ts";
import { MIGRATE } from "./commands/migrate.ts";
import { PROBE } from "./commands/probe.ts";
import { READY, RUN } from "./commands/run.ts";
import { STATUS } from "./commands/status.ts";
import { SYSDUMP } from "./commands/sysdump.ts";
import { TRY } from "./commands/try.ts";
import { UI } from "./commands/ui.ts";
import { WEBHOOK } from "./commands/webhook.ts";

const ALL = [
  RUN,
  TRY,
  LINT,
  MIGRATE,
  CLUSTER_STATUS,
  PODS,
  NETWORKS,
  DEVICES,
  EXPLAIN,
  UI,
  DOCTOR,
  STATUS,
  TEST,
  SYSDUMP,
  FORGET,
  WEBHOOK,
  INSTALL_PLUGINS,
  READY,
  PROBE,
  COMPLETION,
  VERSION,
  HELP,
] as const;

export type CommandName = typeof ALL[number]["name"];

/** The table that the parser, the help, the completion and the reference are made from. */
export const COMMANDS: readonly (Command & { readonly name: CommandName })[] = ALL;

/** The one line that says what the program is. */
export const TITLE = "networks for Kubernetes pods, claimed like devices";

export function commandNamed(name: string): typeof COMMANDS[number] | undefined {
  return COMMANDS.find((command) => command.name === name);
}
