import { apiAccess } from "./api_access.ts";
import { codeFolders, confinementOf } from "./confinement.ts";
import { openLog } from "./logging.ts";
import { prepareNode } from "./prepare_node.ts";
import { parseRunConfig } from "./run_config.ts";
import { thisProcess } from "./this_process.ts";
import { toStderr } from "./stderr.ts";
import { Warden } from "./warden.ts";
import { errorMessage } from "../async/error_message.ts";

/**
 * `network-dra run`: the agent of this node, confined, until SIGTERM or SIGINT. Gives the exit code.
 *
 * @param code URL of the module that serves the warden when it is run as a worker
 */
export async function run(argv: readonly string[], code: string): Promise<number> {
  const config = parseRunConfig(argv, thisProcess);
  const log = openLog({ level: config.logLevel, format: config.logFormat, write: toStderr });
  let release = () => {};
  try {
    const { run, interfaces } = await prepareNode(config, log);
    const access = apiAccess(config.kubeconfig, thisProcess);
    const confinement = confinementOf(config, { access, code: codeFolders(code) });
    const warden = new Warden(config, { run, interfaces, code, confinement });
    release = onSignals((name) => warden.signal(name));
    return await warden.ended;
  } catch (error) {
    log.error("network-dra cannot run", {
      error: errorMessage(error),
    });
    return 1;
  } finally {
    release();
  }
}

/** Calls back on SIGTERM and SIGINT until released. */
export function onSignals(callback: (name: string) => void): () => void {
  const handlers = (["SIGTERM", "SIGINT"] as const).map((name) => {
    const handler = () => callback(name);
    Deno.addSignalListener(name, handler);
    return () => Deno.removeSignalListener(name, handler);
  });
  return () => handlers.forEach((release) => release());
}
