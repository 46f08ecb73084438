import { join } from "node:path";
import { STATE_PATHS } from "../files/state_paths.ts";

/** What the kernel takes as the path of a unix socket, in bytes. */
const LIMIT = 107;
const ENDING = ".sock";

/** The folder of the sockets at which the agents of a node answer. */
export function statusFolder(stateDir: string): string {
  return join(stateDir, STATE_PATHS.status);
}

/**
 * Where one agent answers: two of a node, during a rolling update, each have a socket of their own.
 * Undefined where the path would be longer than the kernel takes.
 */
export function statusSocket(
  { stateDir, podUid }: { readonly stateDir: string; readonly podUid?: string },
): string | undefined {
  const path = join(statusFolder(stateDir), `${podUid ?? "agent"}${ENDING}`);
  return new TextEncoder().encode(path).length > LIMIT ? undefined : path;
}

/** Whether a file of the folder is such a socket, by its name. */
export function isStatusSocket(name: string): boolean {
  return /^[0-9a-z-]+\.sock$/.test(name);
}
