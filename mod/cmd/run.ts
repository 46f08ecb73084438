import type { Log } from "../agent/ports.ts";
import { CORES, runAgent } from "./agent_process.ts";
import { openLog } from "./logging.ts";
import { parseRunConfig } from "./run_config.ts";

/** `network-dra run`: the agent of this node, until SIGTERM or SIGINT. Gives the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const config = parseRunConfig(argv, {
    env: (name) => Deno.env.get(name),
    readFile: (path) => Deno.readTextFileSync(path),
    hostname: () => Deno.hostname(),
    cores: CORES,
  });
  const log = openLog({ level: config.logLevel, format: config.logFormat, write: toStderr });
  const ended = new AbortController();
  const release = onSignals((name) => {
    log.info(`got ${name}`);
    ended.abort(new Error(name));
  });
  try {
    await runAgent(config, { log, signal: ended.signal });
    return 0;
  } catch (error) {
    return fail(log, error);
  } finally {
    release();
  }
}

export function toStderr(line: string): void {
  const bytes = new TextEncoder().encode(line);
  for (let written = 0; written < bytes.length;) {
    written += Deno.stderr.writeSync(bytes.subarray(written));
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

function fail(log: Log, error: unknown): number {
  log.error("network-dra cannot run", {
    error: error instanceof Error ? error.message : String(error),
  });
  return 1;
}
