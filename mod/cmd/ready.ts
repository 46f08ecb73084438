import { errorMessage } from "../async/error_message.ts";
import { socketPaths } from "../dra/socket_paths.ts";
import { describeAddress } from "../observe/serve.ts";
import { AGENT_HEADER, agentName } from "../observe/server.ts";
import { parseRunConfig, type RunConfig } from "./run_config.ts";
import { thisProcess } from "./this_process.ts";

/** In milliseconds; the agent answers from memory. */
const ANSWER_TIMEOUT_MS = 2_000;

/**
 * `network-dra ready`: whether the agent that was started with the same flags serves the kubelet,
 * as the leader or as a standby. Gives the exit code; says what the agent waits for.
 */
export async function ready(argv: readonly string[]): Promise<number> {
  const config = parseRunConfig(argv, thisProcess);
  const path = socketPaths({ ...config, driver: config.driverName }).service;
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound
      ? "the socket does not exist"
      : errorMessage(error);
    throw new Error(
      `no agent serves ${path} yet: ${why}\n${await missing(config).catch(errorMessage)}`,
    );
  }
  return 0;
}

/** What `/readyz` of the agent lists as missing. */
async function missing(config: RunConfig): Promise<string> {
  const { listen } = config;
  if (!listen) return "see the agent's log for what it is waiting for: --listen is empty";
  const address = describeAddress(listen);
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const response = await fetch(`http://${address}/readyz`, { signal }).catch(() => undefined);
  if (!response) return `no agent answers at ${address} (--listen)`;
  const text = await response.text();
  // Two agents of a node share the port during a rolling update.
  if (response.headers.get(AGENT_HEADER) !== agentName(config)) {
    return `another program, or the agent of a different pod, answers at ${address} (--listen)`;
  }
  return text.trimEnd();
}
