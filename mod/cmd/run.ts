import { type ApiAccess, apiAccess } from "./api_access.ts";
import { codeFolders, confinementOf } from "./confinement.ts";
import { readGivenFile } from "./given_file.ts";
import { openLog } from "./logging.ts";
import { prepareNode } from "./prepare_node.ts";
import { type GivenConfig, readRunConfig } from "./run_config.ts";
import { describeSettings } from "./described_settings.ts";
import { onSignals } from "./signals.ts";
import { StartTraces } from "./start_traces.ts";
import { thisProcess } from "./this_process.ts";
import { toStderr } from "./stderr.ts";
import { UsageError } from "./usage_error.ts";
import { Warden } from "./warden.ts";
import { errorMessage } from "../async/error_message.ts";

/**
 * `network-dra run`: the agent of this node, confined, until SIGTERM or SIGINT. Gives the exit code.
 *
 * @param url of the module that serves the warden when it is run as a worker
 */
export async function run(argv: readonly string[], url: string): Promise<number> {
  const given = readRunConfig(argv, thisProcess);
  const { config } = given;
  const access = accessOf(given);
  const log = openLog({ level: config.logLevel, format: config.logFormat, write: toStderr });
  let release = () => {};
  const traces = new StartTraces(config, log);
  let code = 1;
  try {
    const { run, interfaces } = await prepareNode(config, log);
    const confinement = confinementOf(config, { access, code: codeFolders(url) });
    const settings = describeSettings(given);
    const warden = new Warden(config, { settings, run, interfaces, code: url, confinement });
    release = onSignals((name) => warden.signal(name));
    code = await warden.ended;
  } catch (error) {
    log.error("network-dra cannot run", { error: errorMessage(error) });
  } finally {
    release();
  }
  if (code !== 0) await traces.remove();
  return code;
}

/** @throws UsageError if the kubeconfig cannot be used */
function accessOf({ config: { kubeconfig }, places }: GivenConfig): ApiAccess {
  if (kubeconfig !== undefined) readGivenFile(kubeconfig, { at: places.kubeconfig });
  try {
    return apiAccess(kubeconfig, thisProcess);
  } catch (error) {
    const at = kubeconfig === undefined ? "" : `${places.kubeconfig} `;
    throw new UsageError(`${at}${errorMessage(error)}`);
  }
}
