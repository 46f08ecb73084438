import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";

/**
 * Listens at a path, in place of what stood there; only root may connect.
 *
 * It listens under a hidden name beside the path and then renames the socket: whoever watches the
 * folder sees it when it is ready and closed to others. And Deno removes the file under the name
 * that it listened at, at some time after a listener was closed: that must not be a successor's.
 */
export function listenUnix(path: string): Deno.UnixListener {
  const hidden = hiddenPath(path);
  removeIfThere(hidden);
  const listener = Deno.listen({ transport: "unix", path: hidden });
  try {
    Deno.chmodSync(hidden, 0o600);
    Deno.renameSync(hidden, path);
  } catch (error) {
    listener.close();
    throw error;
  }
  return listener;
}

/** Where a socket is made before it appears at its path: a short name, for the kernel takes no long ones. */
export function hiddenPath(path: string): string {
  const hash = createHash("sha256").update(basename(path)).digest("hex");
  return join(dirname(path), `.${hash.slice(0, 8)}`);
}

/** A process that was killed in between leaves it. */
function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
