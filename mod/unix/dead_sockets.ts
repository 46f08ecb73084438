import { join } from "node:path";

/**
 * Removes the sockets of a folder on which nobody listens, which processes leave that are killed. The
 * folder need not be there.
 *
 * @param isOurs by its name
 * @returns the paths of those that it removed
 */
export async function removeDeadSocketsIn(
  folder: string,
  isOurs: (name: string) => boolean,
): Promise<string[]> {
  const removed: string[] = [];
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    if (!isOurs(name) || !await isDeadSocket(path)) continue;
    await Deno.remove(path).catch(() => {});
    removed.push(path);
  }
  return removed;
}

async function isDeadSocket(path: string): Promise<boolean> {
  try {
    // A file other than a socket refuses as well.
    if (!(await Deno.lstat(path)).isSocket) return false;
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused;
  }
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
