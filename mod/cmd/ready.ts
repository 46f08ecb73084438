import { socketPaths } from "../dra/socket_paths.ts";
import { parseRunConfig } from "./run_config.ts";
import { thisProcess } from "./this_process.ts";

/**
 * `network-dra ready`: whether the agent that was started with the same flags serves the kubelet,
 * be it that it leads or that it stands by. Gives the exit code.
 *
 * Its port cannot tell: two agents of a node share it, and the one before may have it.
 */
export async function ready(argv: readonly string[]): Promise<number> {
  const config = parseRunConfig(argv, thisProcess);
  const path = socketPaths({ ...config, driver: config.driverName }).service;
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    throw new Error(`no agent serves ${path} yet: ${(error as Error).message}`);
  }
  return 0;
}
