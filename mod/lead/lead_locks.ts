import { dirname, join } from "node:path";
import type { LeadLock } from "../agent/ports.ts";
import { STATE_PATHS } from "../files/state_paths.ts";

/**
 * Who of a node's agents leads and who is next, as locks on two files of the state folder. The
 * kernel frees them when an agent ends, however it does.
 */
export class LeadLocks implements LeadLock {
  readonly #lead: FileLock;
  readonly #next: FileLock;

  /** @param stateDir exists */
  constructor(stateDir: string) {
    this.#lead = new FileLock(join(stateDir, STATE_PATHS.lead));
    this.#next = new FileLock(join(stateDir, STATE_PATHS.next));
  }

  take(): boolean {
    return this.#lead.take();
  }

  release(): void {
    this.#lead.release();
  }

  standNext(): boolean {
    return this.#next.take();
  }

  standDown(): void {
    this.#next.release();
  }

  nextStands(): boolean {
    return this.#next.isTakenByAnother();
  }
}

class FileLock {
  readonly #path: string;
  #file: Deno.FsFile | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  take(): boolean {
    if (this.#file) return true;
    const file = this.#open();
    if (file.tryLockSync(true)) this.#file = file;
    else file.close();
    return this.#file !== undefined;
  }

  /** Looks with a lock that others can share, so that two who look do not see each other. */
  isTakenByAnother(): boolean {
    if (this.#file) return false;
    const file = this.#open();
    try {
      return !file.tryLockSync(false);
    } finally {
      file.close();
    }
  }

  release(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** A disk that takes nothing at the moment has the file from an earlier start; that can be locked. */
  #open(): Deno.FsFile {
    this.#assertNoLink();
    try {
      return Deno.openSync(this.#path, { write: true });
    } catch (error) {
      if ((error as { code?: unknown }).code === "EROFS") return Deno.openSync(this.#path);
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const file = Deno.openSync(this.#path, { write: true, create: true, mode: 0o600 });
    this.#outlastPowerCut();
    return file;
  }

  /** Else the disk might be full when the next agent has to make it. */
  #outlastPowerCut(): void {
    try {
      using folder = Deno.openSync(dirname(this.#path));
      folder.syncSync();
    } catch {
      // It is there now, and locks.
    }
  }

  /** One that was planted would have the agent make or hold a file elsewhere. */
  #assertNoLink(): void {
    try {
      if (Deno.lstatSync(this.#path).isFile) return;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw error;
    }
    throw new Error(`${this.#path} is not a regular file: remove it`);
  }
}
