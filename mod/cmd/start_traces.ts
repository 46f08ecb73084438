import { dirname, join } from "node:path";
import type { Log } from "../agent/ports.ts";
import { removeDeadSockets } from "../dra/dead_sockets.ts";
import { socketPaths } from "../dra/socket_paths.ts";
import { infoIfThere } from "../files/info_if_there.ts";
import { STATE_PATHS } from "../files/state_paths.ts";
import { LeadLocks } from "../lead/lead_locks.ts";
import type { RunConfig } from "./run_config.ts";

/**
 * What a start of the agent creates on the node: a start that fails removes it again. Created before
 * the start, so it knows which folders did not exist.
 */
export class StartTraces {
  readonly #config: RunConfig;
  readonly #log: Log;
  /** The missing parts of each folder's path, from the outermost folder to the innermost. */
  readonly #missing: Readonly<Record<"state" | "cdi" | "sockets", readonly string[]>>;

  constructor(config: RunConfig, log: Log) {
    this.#config = config;
    this.#log = log;
    const { stateDir, cdiDir, kubeletDir, driverName: driver, podUid } = config;
    this.#missing = {
      state: missingOf(stateDir),
      cdi: cdiDir === "" ? [] : missingOf(cdiDir),
      sockets: missingOf(dirname(socketPaths({ kubeletDir, driver, podUid }).service)),
    };
  }

  /** Removes sockets on which no process listens, and folders that this start created and nothing uses. */
  async remove(): Promise<void> {
    const { stateDir, kubeletDir, driverName: driver } = this.#config;
    await removeDeadSockets({ kubeletDir, driver, log: this.#log });
    const { state, cdi, sockets } = this.#missing;
    if (state.length > 0 && isUnused(stateDir)) Deno.removeSync(stateDir, { recursive: true });
    for (const folder of [state, cdi, sockets].flatMap((made) => made.toReversed())) {
      removeEmpty(folder);
    }
  }
}

function missingOf(path: string): string[] {
  if (infoIfThere(path)) return [];
  return [...missingOf(dirname(path)), path];
}

/** Whether it contains no records and no agent holds its locks. */
function isUnused(stateDir: string): boolean {
  if (!infoIfThere(stateDir)) return false;
  const { claims, attachments } = STATE_PATHS;
  if ([claims, attachments].some((kind) => !isEmpty(join(stateDir, kind)))) return false;
  const lock = new LeadLocks(stateDir);
  const isFree = lock.take();
  lock.release();
  return isFree;
}

/** Also where there is none. */
function isEmpty(folder: string): boolean {
  return !infoIfThere(folder) || [...Deno.readDirSync(folder)].length === 0;
}

function removeEmpty(folder: string): void {
  try {
    Deno.removeSync(folder);
  } catch {
    // It is in use, or was not created.
  }
}
