/**
 * Makes a folder that is the agent's own, or takes the one that is there, and closes it to others.
 *
 * @param mode permission bits, 0700 by default; undefined leaves those of a folder that is there
 * @throws Error where something else stands at the path, a link to a folder among it: whoever planted
 * it would decide where the agent, which is root, writes
 */
export async function makeOwnFolder(
  path: string,
  { mode = 0o700 }: { readonly mode?: number } = {},
): Promise<void> {
  await Deno.mkdir(path, { recursive: true, mode });
  assertRealFolder(path);
  // One that was there may be open to others. A disk that takes nothing at the moment is left alone.
  const { mode: present } = await Deno.lstat(path);
  if (present === null || (present & 0o7777) !== mode) await Deno.chmod(path, mode);
}

/** @throws Error where the path leads to no folder, or to one by a link */
export function assertRealFolder(path: string): void {
  const { isSymlink, isDirectory } = Deno.lstatSync(path);
  if (isDirectory && !isSymlink) return;
  const what = isSymlink ? "a symbolic link, which is not followed" : "not a folder";
  throw new Error(`${path} is ${what}: remove it, or name the folder itself`);
}
