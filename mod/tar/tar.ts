/** Tar archives (POSIX ustar) in which nothing depends on who makes them, when and where. */

const BLOCK = 512;
const MODES = { file: 0o644, folder: 0o755, link: 0o777 } as const;

export interface TarFile {
  readonly kind: "file";
  readonly content: Uint8Array;
}

export interface TarFolder {
  readonly kind: "folder";
}

/** A symbolic link. */
export interface TarLink {
  readonly kind: "link";
  readonly target: string;
}

export type TarEntry = (TarFile | TarFolder | TarLink) & {
  /** Without a "/" at its begin or end. */
  readonly path: string;
  /** Permissions; 644 for files, 755 for folders where it is left out. */
  readonly mode?: number;
};

/** An archive of the entries in the order given, all owned by root and of 1970. */
export function tar(entries: readonly TarEntry[]): Uint8Array<ArrayBuffer> {
  const parts = [...entries.flatMap(tarParts), TAR_END];
  const archive = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    archive.set(part, offset);
    offset += part.length;
  }
  return archive;
}

/** The bytes of one entry, for an archive that is written as it is made; `TAR_END` ends it. */
export function tarParts(entry: TarEntry): Uint8Array<ArrayBufferLike>[] {
  const content = entry.kind === "file" ? entry.content : new Uint8Array(0);
  const padding = new Uint8Array((BLOCK - content.length % BLOCK) % BLOCK);
  return [header(entry, content.length), content, padding];
}

/** What comes after the last entry. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK);

function header(entry: TarEntry, size: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (text: string, offset: number, width: number) => {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > width) throw new Error(`too long for a tar archive: ${text}`);
    block.set(bytes, offset);
  };
  const octal = (number: number, offset: number, width: number) =>
    put(number.toString(8).padStart(width - 1, "0"), offset, width);
  const [prefix, name] = splitPath(entry.kind === "folder" ? `${entry.path}/` : entry.path);
  put(name, 0, 100);
  octal(entry.mode ?? MODES[entry.kind], 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  put({ file: "0", link: "2", folder: "5" }[entry.kind], 156, 1);
  if (entry.kind === "link") put(entry.target, 157, 100);
  put("ustar\u000000", 257, 8);
  put(prefix, 345, 155);
  // The sum counts its own field as spaces.
  put(" ".repeat(8), 148, 8);
  octal(block.reduce((sum, byte) => sum + byte, 0), 148, 7);
  block[154] = 0;
  return block;
}

/** The prefix and the name of a path: the prefix is empty where the path fits into the name. */
function splitPath(path: string): readonly [prefix: string, name: string] {
  const length = (text: string) => new TextEncoder().encode(text).length;
  if (length(path) <= 100) return ["", path];
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    const name = path.slice(at + 1);
    if (name !== "" && length(name) <= 100) return [path.slice(0, at), name];
  }
  return ["", path];
}

/** The entries of an archive. @throws Error where one is neither a file, a folder nor a symbolic link */
export function readTar(archive: Uint8Array): TarEntry[] {
  const entries: TarEntry[] = [];
  const field = (at: number, width: number) =>
    new TextDecoder().decode(archive.subarray(at, at + width)).replace(/\0.*$/s, "");
  for (let at = 0; at < archive.length && archive[at] !== 0;) {
    // GNU's own format has other things there.
    const isPosix = archive[at + 262] === 0;
    const prefix = isPosix ? field(at + 345, 155) : "";
    const path = [...prefix === "" ? [] : [prefix], field(at, 100)].join("/")
      .replace(/^\.?\/+/, "").replace(/\/$/, "");
    const mode = parseInt(field(at + 100, 8), 8);
    const size = parseInt(field(at + 124, 12), 8);
    const type = field(at + 156, 1);
    const content = archive.subarray(at + BLOCK, at + BLOCK + size);
    if (type === "0") entries.push({ kind: "file", path, mode, content });
    else if (type === "5") entries.push({ kind: "folder", path, mode });
    else if (type === "2") entries.push({ kind: "link", path, mode, target: field(at + 157, 100) });
    else throw new Error(`${path}: type ${type} of a tar archive is not supported`);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return entries;
}
