import { join } from "node:path";
import type { Log } from "../agent/ports.ts";
import { removeDeadSocketsIn } from "../unix/dead_sockets.ts";

/**
 * Removes the sockets of the driver on which nobody listens: an agent that was killed leaves its
 * own, named by its pod, and the kubelet would try them forever.
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
    // Before the kubelet's first start there is no folder.
    for (const socket of await removeDeadSocketsIn(folder, (name) => pattern.test(name))) {
      log.info("removed the socket of an agent that is gone", { socket });
    }
  }
}
