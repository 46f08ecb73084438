import { join } from "node:path";

/** Links that are followed at most, as the kernel does (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * Where a path leads for who has another root folder: links on the way are followed as they are
 * there, absolute ones from that root, and none leads out of it.
 *
 * @param root the root folder, as this process sees it
 * @param path absolute, below that root; what is not there yet is taken as it is named
 * @returns the path for this process, with no link behind `root` in it
 * @throws Error where links lead in a circle
 */
export function pathInRoot(root: string, path: string): string {
  const ahead = path.split("/").toReversed();
  let found: string[] = [];
  let links = 0;
  for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      found.pop();
      continue;
    }
    const target = targetOf(join(root, ...found, name));
    if (target === undefined) {
      found.push(name);
      continue;
    }
    if (++links > MOST_LINKS) throw new Error(`${path} in ${root}: too many symbolic links`);
    if (target.startsWith("/")) found = [];
    ahead.push(...target.split("/").toReversed());
  }
  return join(root, ...found);
}

function targetOf(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    // It is not a link, or not there.
    return undefined;
  }
}
