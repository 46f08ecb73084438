import type { Chance } from "./chance.ts";

/** A file's content, and what of it a power cut leaves. */
class Inode {
  content: Uint8Array<ArrayBuffer> = new Uint8Array();
  durable: Uint8Array<ArrayBuffer> | undefined;
}

export type DiskState = "ok" | "full" | "readOnly" | "failing";

/** An error as Deno raises it, without a stack: to take that costs more than the call itself. */
export function raised(kind: "NotFound" | "AlreadyExists", path: string): Error {
  const error = Object.create(Deno.errors[kind].prototype);
  return Object.assign(error, { name: kind, message: path });
}

/** The same where Deno has no class of its own. */
function systemError(code: string): Error {
  const error = Object.create(Error.prototype);
  return Object.assign(error, { message: `${code} (os error)`, code });
}

/**
 * A disk that says what survives: the process's death takes nothing, a power cut all that was not
 * synced, a file by itself and its name by its folder, each for itself.
 */
export class Disk {
  readonly #files = new Map<string, Inode>();
  /** The names as a power cut would leave them. */
  readonly #named = new Map<string, Inode>();
  readonly #folders = new Set<string>(["/"]);
  readonly #locks = new Map<string, { readonly exclusive: boolean; readonly by: Set<OpenFile> }>();
  state: DiskState = "ok";

  open(path: string, options: Deno.OpenOptions): OpenFile {
    if (this.#folders.has(path)) return new OpenFile(this, path, undefined);
    let inode = this.#files.get(path);
    if (options.write && this.state === "readOnly") throw systemError("EROFS");
    if (inode && options.createNew) throw raised("AlreadyExists", path);
    if (!inode) {
      if (!options.create && !options.createNew) throw raised("NotFound", path);
      this.#assertFolder(path);
      if (this.state === "full" || this.state === "failing") throw systemError("ENOSPC");
      inode = new Inode();
      this.#files.set(path, inode);
    }
    return new OpenFile(this, path, inode);
  }

  read(path: string): Uint8Array<ArrayBuffer> {
    const inode = this.#files.get(path);
    if (!inode) throw raised("NotFound", path);
    return inode.content;
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** `undefined` where nothing is. */
  kind(path: string): "file" | "folder" | undefined {
    return this.#files.has(path) ? "file" : this.#folders.has(path) ? "folder" : undefined;
  }

  names(folder: string): { readonly name: string; readonly isFile: boolean }[] {
    if (!this.#folders.has(folder)) throw raised("NotFound", folder);
    const prefix = folder === "/" ? "/" : `${folder}/`;
    const names: { readonly name: string; readonly isFile: boolean }[] = [];
    const list = (paths: Iterable<string>, isFile: boolean) => {
      for (const path of paths) {
        if (path === "/" || !path.startsWith(prefix)) continue;
        if (path.indexOf("/", prefix.length) >= 0) continue;
        names.push({ name: path.slice(prefix.length), isFile });
      }
    };
    list(this.#files.keys(), true);
    list(this.#folders, false);
    return names;
  }

  makeFolder(path: string): void {
    if (this.#files.has(path)) throw raised("AlreadyExists", path);
    if (this.#folders.has(path)) return;
    const parts = path.split("/").filter(Boolean);
    for (let i = 1; i <= parts.length; i++) this.#folders.add(`/${parts.slice(0, i).join("/")}`);
  }

  rename(from: string, to: string): void {
    this.#assertWritable();
    const inode = this.#files.get(from);
    if (!inode) throw raised("NotFound", from);
    this.#files.delete(from);
    this.#files.set(to, inode);
  }

  remove(path: string, { recursive = false } = {}): void {
    if (this.kind(path) === undefined) throw raised("NotFound", path);
    this.#assertWritable();
    this.#files.delete(path);
    this.#folders.delete(path);
    if (!recursive) return;
    for (const each of [...this.#files.keys(), ...this.#folders]) {
      if (!each.startsWith(`${path}/`)) continue;
      this.#files.delete(each);
      this.#folders.delete(each);
    }
  }

  /** The folder's names outlast a power cut. */
  syncFolder(folder: string): void {
    const prefix = folder === "/" ? "/" : `${folder}/`;
    const isIn = (path: string) => path.startsWith(prefix) && path.indexOf("/", prefix.length) < 0;
    for (const path of this.#named.keys()) {
      if (isIn(path) && !this.#files.has(path)) this.#named.delete(path);
    }
    for (const [path, inode] of this.#files) if (isIn(path)) this.#named.set(path, inode);
  }

  /** What was not synced is there or not, whole or in part, as the seed says. */
  cutPower(chance: Chance): void {
    for (const path of new Set([...this.#files.keys(), ...this.#named.keys()])) {
      const [now, synced] = [this.#files.get(path), this.#named.get(path)];
      const kept = now === synced || chance.hits("power cut: name", 0.5) ? now : synced;
      if (!kept) this.#files.delete(path);
      else this.#files.set(path, kept);
    }
    for (const inode of this.#files.values()) {
      if (inode.durable === inode.content || chance.hits("power cut: content", 0.3)) continue;
      const part = chance.draw("power cut: part");
      inode.content = inode.durable ??
        inode.content.slice(0, part < 0.5 ? 0 : Math.floor(inode.content.length * part));
      inode.durable = inode.content;
    }
    this.#named.clear();
    for (const [path, inode] of this.#files) this.#named.set(path, inode);
  }

  /** Overwrites a file, as what goes wrong with disks does. */
  damage(path: string, content: Uint8Array<ArrayBuffer>): void {
    const inode = this.#files.get(path);
    if (!inode) return;
    inode.content = content;
    inode.durable = content;
  }

  lock(file: OpenFile, exclusive: boolean): boolean {
    const held = this.#locks.get(file.path);
    const others = [...held?.by ?? []].filter((other) => other !== file);
    if (others.length > 0 && (exclusive || held!.exclusive)) return false;
    this.#locks.set(file.path, { exclusive, by: new Set([...others, file]) });
    return true;
  }

  isLocked(file: OpenFile): boolean {
    return this.#locks.get(file.path)?.by.has(file) ?? false;
  }

  unlock(file: OpenFile): void {
    const held = this.#locks.get(file.path);
    if (held?.by.delete(file) && held.by.size === 0) this.#locks.delete(file.path);
  }

  assertTakes(): void {
    if (this.state === "full") throw systemError("ENOSPC");
    if (this.state === "failing") throw systemError("EIO");
  }

  #assertWritable(): void {
    if (this.state === "readOnly") throw systemError("EROFS");
    if (this.state === "failing") throw systemError("EIO");
  }

  #assertFolder(path: string): void {
    const folder = path.slice(0, path.lastIndexOf("/")) || "/";
    if (!this.#folders.has(folder)) throw raised("NotFound", folder);
  }
}

/** An open file, or folder. */
export class OpenFile {
  readonly #disk: Disk;
  readonly #inode: Inode | undefined;
  readonly path: string;
  #position = 0;

  constructor(disk: Disk, path: string, inode: Inode | undefined) {
    this.#disk = disk;
    this.path = path;
    this.#inode = inode;
  }

  write(bytes: Uint8Array): number {
    this.#disk.assertTakes();
    const old = this.#inode!.content;
    const content = new Uint8Array(Math.max(old.length, this.#position + bytes.length));
    content.set(old);
    content.set(bytes, this.#position);
    this.#inode!.content = content;
    this.#position += bytes.length;
    return bytes.length;
  }

  truncate(length: number): void {
    this.#inode!.content = this.#inode!.content.slice(0, length);
  }

  sync(): void {
    if (!this.#inode) return this.#disk.syncFolder(this.path);
    this.#disk.assertTakes();
    this.#inode.durable = this.#inode.content;
  }

  lock(exclusive: boolean): boolean {
    return this.#disk.lock(this, exclusive);
  }

  get isLocked(): boolean {
    return this.#disk.isLocked(this);
  }

  close(): void {
    this.#disk.unlock(this);
  }
}
