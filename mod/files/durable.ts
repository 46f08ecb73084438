import { infoIfThere } from "./info_if_there.ts";

const ENCODER = new TextEncoder();

/**
 * Writes a file so that after a crash it holds the old content or the new, never a part: a
 * temporary name beside it, fsync, rename, fsync of the folder.
 *
 * Two writers of one path must not run at the same time.
 *
 * @param mode permission bits of the new file, 0600 by default
 */
export async function writeDurably(
  path: string,
  content: string | Uint8Array,
  { mode = 0o600 }: { readonly mode?: number } = {},
): Promise<void> {
  const temporary = `${path}.tmp`;
  // What only touches the file cache is done at once; what waits for the disk lets others go on.
  const file = createAnew(temporary, mode);
  try {
    try {
      writeAll(file, content);
      await file.sync();
    } finally {
      file.close();
    }
    Deno.renameSync(temporary, path);
  } catch (error) {
    // On a full disk it would take the room that others need.
    discard(temporary);
    throw error;
  }
  await syncFolderOf(path);
}

/**
 * Writes a file so that who reads it finds the old content or the new, never a part. It is there when
 * this returns; a crash of the machine may take it away again.
 *
 * @param mode permission bits of the new file, 0600 by default
 */
export function replaceFile(
  path: string,
  content: string,
  { mode = 0o600 }: { readonly mode?: number } = {},
): void {
  const temporary = `${path}.tmp`;
  const file = createAnew(temporary, mode);
  try {
    try {
      writeAll(file, content);
    } finally {
      file.close();
    }
    Deno.renameSync(temporary, path);
  } catch (error) {
    discard(temporary);
    throw error;
  }
}

/**
 * Writes a file that others may have mounted or open: they see the new content. One that is not there
 * is made; a link is replaced by a file.
 *
 * @param mode permission bits of a new file, 0600 by default
 */
export function writeInPlace(
  path: string,
  content: string,
  { mode = 0o600 }: { readonly mode?: number } = {},
): void {
  const bytes = ENCODER.encode(content);
  const file = infoIfThere(path)?.isFile
    ? Deno.openSync(path, { write: true })
    : createAnew(path, mode);
  try {
    writeAll(file, bytes);
    file.truncateSync(bytes.length);
  } finally {
    file.close();
  }
}

function writeAll(file: Deno.FsFile, content: string | Uint8Array): void {
  const bytes = typeof content === "string" ? ENCODER.encode(content) : content;
  for (let written = 0; written < bytes.length;) {
    written += file.writeSync(bytes.subarray(written));
  }
}

function discard(path: string): void {
  try {
    removeIfThere(path);
  } catch {
    // What kept it from being written keeps it from being removed.
  }
}

/** Not followed and not reused: a link planted there must not lead the write elsewhere. */
function createAnew(path: string, mode: number): Deno.FsFile {
  const options = { write: true, createNew: true, mode };
  try {
    return Deno.openSync(path, options);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    Deno.removeSync(path);
    return Deno.openSync(path, options);
  }
}

/** Removes a file, durably. It may be gone already. */
export async function removeDurably(path: string): Promise<void> {
  if (removeIfThere(path)) await syncFolderOf(path);
}

/** Renames a file within its folder, durably, in place of what is there. It may be gone already. */
export async function renameDurably(path: string, to: string): Promise<void> {
  try {
    Deno.renameSync(path, to);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  await syncFolderOf(to);
}

/** Removes a file, and says whether it was there. It is gone when this returns; a power cut may bring it back. */
export function removeIfThere(path: string): boolean {
  try {
    Deno.removeSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The sync of a folder that is in progress, and the one that follows it. */
const syncs = new Map<string, { readonly running: Promise<void>; next?: Promise<void> }>();

/** Brings a folder's entries to the disk. Those who ask during a sync share the next one. */
function syncFolderOf(path: string): Promise<void> {
  const folder = path.slice(0, path.lastIndexOf("/")) || "/";
  const current = syncs.get(folder);
  if (!current) return beginSync(folder);
  return current.next ??= current.running.catch(() => {}).then(() => beginSync(folder));
}

function beginSync(folder: string): Promise<void> {
  const sync: { running: Promise<void>; next?: Promise<void> } = { running: syncNow(folder) };
  syncs.set(folder, sync);
  const ended = () => {
    if (!sync.next) syncs.delete(folder);
  };
  sync.running.then(ended, ended);
  return sync.running;
}

async function syncNow(path: string): Promise<void> {
  const folder = Deno.openSync(path);
  try {
    await folder.sync();
  } finally {
    folder.close();
  }
}
