import config from "../../deno.json" with { type: "json" };
import {
  CLUSTER_STATUS,
  DEVICES,
  DOCTOR,
  EXPLAIN,
  NETWORKS,
  PODS,
} from "../../mod/cmd/commands/cluster.ts";
import { TEST } from "../../mod/cmd/commands/connectivity.ts";
import { SYSDUMP } from "../../mod/cmd/commands/sysdump.ts";
import { UI } from "../../mod/cmd/commands/ui.ts";

/** What `try` needs beyond the agent: where its cache is, that it is inside, that it is root. */
const TRY_ENV = ["HOME", "XDG_CACHE_HOME", "NETWORK_DRA_CACHE", "NETWORK_DRA_PRIVATE_NODE"];
const TRY_SYS = ["uid"];

/**
 * "agent": it stays small for as long as it runs; V8 collects its garbage often. "plugin": a command for
 * a whole cluster, which that would make take twice as long.
 */
export type Purpose = "agent" | "plugin";

/** The commands for a whole cluster, and what the plugin's own name stands for. */
export const PLUGIN_COMMANDS: readonly string[] = [
  "kubectl",
  ...[CLUSTER_STATUS, PODS, NETWORKS, DEVICES, EXPLAIN, DOCTOR, TEST, SYSDUMP, UI].map(({ name }) =>
    name
  ),
];

/** The flags of `deno task run`, where they are spelled out, with what `try` needs besides. */
export function flags(purpose: Purpose = "agent"): string[] {
  const words = config.tasks.run.split(" ");
  const all = words.slice(words.indexOf("run") + 1, words.indexOf("main.ts"));
  return all.filter((flag) => purpose === "agent" || !flag.startsWith("--v8-flags=")).map(
    (flag) => {
      if (flag.startsWith("--allow-env=")) return [flag, ...TRY_ENV].join(",");
      if (flag.startsWith("--allow-sys=")) return [flag, ...TRY_SYS].join(",");
      return flag;
    },
  );
}

/**
 * The flags of the executable. It keeps no compiled code: it would do so in $TMPDIR, by a name that
 * anybody can take first, and root would load what lies there.
 */
export function compileFlags(purpose: Purpose = "agent"): string[] {
  return [...flags(purpose), "--no-code-cache"];
}

/** The arguments by which Deno runs the bundle with these flags and with nothing from around it. */
export function runArguments(bundle: string, purpose: Purpose = "agent"): string[] {
  return ["run", "--no-config", "--no-lock", "--cached-only", ...flags(purpose), bundle];
}
