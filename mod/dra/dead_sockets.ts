import { join } from "node:path";
import type { Log } from "../agent/ports.ts";

/**
 * Removes the sockets of the driver on which nobody listens: an agent that was killed leaves its
 * own, named by its pod, and the kubelet would try them for ever.
 */
export async function removeDeadSockets({ kubeletDir, driver, log }: {
  readonly kubeletDir: string;
  readonly driver: string;
  readonly log: Log;
}): Promise<void> {
  // A UUID, or what static pods have: other drivers' names may begin with this one's.
  const uid = "[0-9a-f-]{32,36}";
  const escaped = driver.replaceAll(".", "\\.");
  const folders = [
    [join(kubeletDir, "plugins_registry"), new RegExp(`^${escaped}(-${uid})?-reg\\.sock$`)],
    [join(kubeletDir, "plugins", driver), new RegExp(`^dra(-${uid})?\\.sock$`)],
  ] as const;
  for (const [folder, pattern] of folders) {
    for (const name of namesIn(folder)) {
      const path = join(folder, name);
      if (!pattern.test(name) || !await isDeadSocket(path)) continue;
      await Deno.remove(path).catch(() => {});
      log.info("removed the socket of an agent that is gone", { socket: path });
    }
  }
}

async function isDeadSocket(path: string): Promise<boolean> {
  try {
    // A file that is no socket refuses as well.
    if (!(await Deno.lstat(path)).isSocket) return false;
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused;
  }
}

/** The folder may not be there before the kubelet's first start. */
function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
