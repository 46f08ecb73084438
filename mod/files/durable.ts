/**
 * Writes a file so that after a crash it holds the old content or the new, never a part: a
 * temporary name beside it, fsync, rename, fsync of the folder.
 *
 * Two writers of one path must not run at the same time.
 *
 * @param mode permission bits of the new file, 0600 unless told
 */
export async function writeDurably(
  path: string,
  content: string,
  { mode = 0o600 }: { readonly mode?: number } = {},
): Promise<void> {
  const temporary = `${path}.tmp`;
  // Not followed and not reused: a link planted there must not lead the write elsewhere.
  await removeIfThere(temporary);
  const file = await Deno.open(temporary, { write: true, createNew: true, mode });
  try {
    const bytes = new TextEncoder().encode(content);
    for (let written = 0; written < bytes.length;) {
      written += await file.write(bytes.subarray(written));
    }
    await file.sync();
  } finally {
    file.close();
  }
  await Deno.rename(temporary, path);
  await syncFolderOf(path);
}

/** Removes a file, durably; one that is not there is no error. */
export async function removeDurably(path: string): Promise<void> {
  if (await removeIfThere(path)) await syncFolderOf(path);
}

async function removeIfThere(path: string): Promise<boolean> {
  try {
    await Deno.remove(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function syncFolderOf(path: string): Promise<void> {
  const folder = await Deno.open(path.slice(0, path.lastIndexOf("/")) || "/");
  try {
    await folder.sync();
  } finally {
    folder.close();
  }
}
