import { type Disk, type OpenFile, raised } from "./disk.ts";
import type { SimulatedProcess } from "./process.ts";

/** Where a process finds its disks: `<ROOT>/<world>/<process>/<disk>/…`. */
const ROOT = "/simulated";
const INSIDE = `${ROOT}/`;

/** A disk as one process uses it. */
export interface Mounted {
  readonly process: SimulatedProcess;
  /** What is there now. */
  readonly disk: Disk;
  /** Lets the time pass that an access takes. */
  readonly wait: (access: "read" | "change" | "sync") => Promise<void>;
  /** A process may be held up between the step before and the one that lets a lock go. */
  readonly holdUp: (close: () => void) => void;
}

class Place {
  readonly #mounted: Mounted;
  /** The path on its disk. */
  readonly inner: string;

  constructor(mounted: Mounted, inner: string) {
    this.#mounted = mounted;
    this.inner = inner;
  }

  get process(): SimulatedProcess {
    return this.#mounted.process;
  }

  get disk(): Disk {
    return this.#mounted.disk;
  }

  get wait(): Mounted["wait"] {
    return this.#mounted.wait;
  }

  get holdUp(): Mounted["holdUp"] {
    return this.#mounted.holdUp;
  }
}

/** Finds what is mounted at `<process>/<disk>`. */
export type Mounts = (process: string, disk: string) => Mounted;

let mounts: Mounts | undefined;
let worlds = 0;

/**
 * From now on paths below {@link ROOT} lead there. One world at a time, and each has paths of its own:
 * what the agent's code keeps of paths must not come from one world into another.
 */
export function mount(found: Mounts | undefined): void {
  mounts = found;
  worlds++;
  places.clear();
}

/** Where a process of the present world finds a disk. */
export function folderOf(process: string, disk: string): string {
  return `${ROOT}/${worlds}/${process}/${disk}`;
}

const OWN = `/proc/${Deno.pid}/`;

/** A text in which no path tells which world it is, or which process plays it. */
export function withoutRoot(text: string): string {
  const inWorld = text.includes(ROOT) ? text.replaceAll(`${ROOT}/${worlds}/`, "") : text;
  return inWorld.includes(OWN) ? inWorld.replaceAll(OWN, "/proc/1/") : inWorld;
}

/**
 * Lets Deno's functions for files lead to simulated disks where their paths do: so the agent's own
 * code for files runs as it is, in every step of which the process may die.
 */
export function installFiles(): void {
  replace(
    "openSync",
    (place, options: Deno.OpenOptions = { read: true }) =>
      place.process.now(`open ${place.inner}`, () => {
        return new PlacedFile(place, place.disk.open(place.inner, options));
      }),
  );
  replace(
    "readTextFileSync",
    (place) => place.process.now(`read ${place.inner}`, () => text(place)),
  );
  replace("readTextFile", (place) => later(place, "read", () => text(place)));
  replace("lstatSync", (place) => place.process.now(`look at ${place.inner}`, () => info(place)));
  replace("statSync", (place) => place.process.now(`look at ${place.inner}`, () => info(place)));
  replace("lstat", (place) => later(place, "read", () => info(place)));
  replace("stat", (place) => later(place, "read", () => info(place)));
  replace(
    "removeSync",
    (place, options?: Deno.RemoveOptions) =>
      place.process.now(`remove ${place.inner}`, () => place.disk.remove(place.inner, options)),
  );
  replace(
    "remove",
    (place, options?: Deno.RemoveOptions) =>
      later(place, "change", () => place.disk.remove(place.inner, options)),
  );
  replace(
    "renameSync",
    (place, to: string) =>
      place.process.now(`rename ${place.inner}`, () => place.disk.rename(place.inner, inside(to))),
  );
  replace(
    "rename",
    (place, to: string) => later(place, "change", () => place.disk.rename(place.inner, inside(to))),
  );
  replace(
    "mkdirSync",
    (place, options?: Deno.MkdirOptions) =>
      place.process.now(`make ${place.inner}`, () => makeFolder(place, options)),
  );
  replace(
    "mkdir",
    (place, options?: Deno.MkdirOptions) =>
      later(place, "change", () => makeFolder(place, options)),
  );
  replace("chmod", (place) => later(place, "change", () => {}));
  replace("readDir", (place) => entries(place));
  replace(
    "readDirSync",
    (place) =>
      place.process.now(`list ${place.inner}`, () => place.disk.names(place.inner).map(entry)),
  );
}

// deno-lint-ignore no-explicit-any
function replace(name: keyof typeof Deno, simulated: (place: Place, argument?: any) => unknown) {
  // deno-lint-ignore no-explicit-any
  const deno = Deno as any;
  const real = deno[name];
  deno[name] = (path: unknown, ...rest: unknown[]) =>
    typeof path === "string" && path.startsWith(INSIDE)
      ? simulated(placeOf(path), rest[0])
      : real(path, ...rest);
}

/** Those of the present world that were asked for, by path. */
const places = new Map<string, Place>();

function placeOf(path: string): Place {
  const known = places.get(path);
  if (known) return known;
  const [, , world, process = "", disk = ""] = path.split("/");
  // Who asks from a world that is over gets no answer.
  if (world !== `${worlds}`) throw new Error(`${path} is no more`);
  if (!mounts) throw new Error(`nothing is simulated at the moment, but ${path} is asked for`);
  const place = new Place(mounts(process, disk), inside(path));
  places.set(path, place);
  return place;
}

/** The path on its disk. */
function inside(path: string): string {
  let end = 0;
  for (let slashes = 1; slashes < 5 && end >= 0; slashes++) end = path.indexOf("/", end + 1);
  return end < 0 ? "/" : path.slice(end);
}

function later<T>(place: Place, access: "read" | "change", effect: () => T): Promise<T> {
  return place.process.later(`${access} ${place.inner}`, async () => {
    await place.wait(access);
    return effect();
  });
}

async function* entries(place: Place): AsyncGenerator<Deno.DirEntry> {
  const names = await later(place, "read", () => place.disk.names(place.inner));
  for (const each of names) yield entry(each);
}

function entry({ name, isFile }: { readonly name: string; readonly isFile: boolean }) {
  return { name, isFile, isDirectory: !isFile, isSymlink: false };
}

const DECODER = new TextDecoder();

function text({ disk, inner }: Place): string {
  return DECODER.decode(disk.read(inner));
}

function info({ disk, inner }: Place): Partial<Deno.FileInfo> {
  const kind = disk.kind(inner);
  if (!kind) throw raised("NotFound", inner);
  return {
    isFile: kind === "file",
    isDirectory: kind === "folder",
    isSymlink: false,
    size: kind === "file" ? disk.read(inner).length : 0,
    mode: kind === "file" ? 0o600 : 0o700,
  };
}

function makeFolder({ disk, inner }: Place, options?: Deno.MkdirOptions): void {
  if (!options?.recursive && disk.kind(inner)) throw raised("AlreadyExists", inner);
  disk.makeFolder(inner);
}

/** Locked files that a process is about to close, and that others find locked yet. */
const heldUp = new WeakMap<SimulatedProcess, Set<OpenFile>>();

/** An open file as far as the agent uses one. The end of a process frees its locks. */
class PlacedFile implements Partial<Deno.FsFile> {
  readonly #place: Place;
  readonly #open: OpenFile;

  constructor(place: Place, open: OpenFile) {
    this.#place = place;
    this.#open = open;
  }

  writeSync(bytes: Uint8Array): number {
    return this.#now("write", () => this.#open.write(bytes));
  }

  truncateSync(length = 0): void {
    this.#now("truncate", () => this.#open.truncate(length));
  }

  tryLockSync(exclusive = false): boolean {
    return this.#now("lock", () => {
      const { process } = this.#place;
      // It goes on, so it is no longer held up.
      for (const earlier of heldUp.get(process) ?? []) earlier.close();
      heldUp.delete(process);
      if (!this.#open.lock(exclusive)) return false;
      process.onDeath(() => this.#open.close());
      return true;
    });
  }

  unlockSync(): void {
    this.#now("unlock", () => this.#open.close());
  }

  sync(): Promise<void> {
    const { process, inner, wait } = this.#place;
    return process.later(`sync ${inner}`, async () => {
      await wait("sync");
      this.#open.sync();
    });
  }

  syncSync(): void {
    this.#now("sync", () => this.#open.sync());
  }

  close(): void {
    if (!this.#open.isLocked) return this.#open.close();
    const { process, holdUp } = this.#place;
    const closes = heldUp.get(process) ?? new Set();
    heldUp.set(process, closes.add(this.#open));
    holdUp(() => this.#open.close());
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #now<T>(what: string, effect: () => T): T {
    return this.#place.process.now(`${what} ${this.#place.inner}`, effect);
  }
}
