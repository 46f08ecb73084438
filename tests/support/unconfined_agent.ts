/** `network-dra run` in this thread, with all that the process may do: for tests that reach inside. */
import { pluginRunner } from "../../mod/cni/plugin_runner.ts";
import { runAgent } from "../../mod/cmd/agent_lifecycle.ts";
import { openLog } from "../../mod/cmd/logging.ts";
import { prepareNode } from "../../mod/cmd/prepare_node.ts";
import { onSignals } from "../../mod/cmd/signals.ts";
import { parseRunConfig } from "../../mod/cmd/run_config.ts";
import { thisProcess } from "../../mod/cmd/this_process.ts";
import { toStderr } from "../../mod/cmd/stderr.ts";
import { grepAll } from "../../mod/inventory/sysfs.ts";

/** Gives the exit code. */
export async function runUnconfined(argv: readonly string[]): Promise<number> {
  const config = parseRunConfig(argv, thisProcess);
  const log = openLog({ level: config.logLevel, format: config.logFormat, write: toStderr });
  const end = new AbortController();
  const release = onSignals((name) => end.abort(new Error(name)));
  try {
    const prepared = await prepareNode(config, log);
    const run = pluginRunner({ ...config, run: prepared.run });
    await runAgent(config, {
      log,
      signal: end.signal,
      run,
      read: grepAll,
      interfaces: prepared.interfaces,
    });
    return 0;
  } catch (error) {
    log.error("network-dra cannot run", { error: String(error) });
    return 1;
  } finally {
    release();
  }
}
