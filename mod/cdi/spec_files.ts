import { join } from "node:path";
import type { CdiFiles } from "../agent/ports.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import { removeDurably, replaceFile } from "../files/durable.ts";
import { assertRealFolder } from "../files/own_folder.ts";

/** The CDI specification version that has all we use, and that containerd 1.7 reads. */
const CDI_VERSION = "0.5.0";
const CLASS = "claim";
const SPEC = ".json";
const ATTACHED = ".attached";

/**
 * Where the mounts of containers that name a claim are, one a claim. Not under /dev or /run: where a
 * pod mounts the host's, the runtime would make the mount point on the host.
 */
export const MOUNT_FOLDER = "/etc/network-dra";

/**
 * Two files a claim (design decision 11), which hold containers back whether this agent runs or not:
 *
 * - `<folder>/<driver>_<claim uid>.json`, a CDI spec with one device `<driver>/claim=<claim uid>`. The
 *   runtime creates no container whose device has no file.
 * - `<folder>/<driver>_<claim uid>.attached`, empty, which that device mounts. The runtime starts no
 *   container where what it shall mount is not there.
 *
 * The second lies here because the runtime finds this folder at the same path as the agent, and a
 * reboot clears it. CDI reads only what ends in .json or .yaml.
 */
export class CdiSpecFiles implements CdiFiles {
  readonly #folder: string;
  readonly #driver: string;

  /** @param folder where the runtime looks for CDI specs; empty turns CDI off */
  constructor(folder: string, { driver }: { readonly driver: string }) {
    this.#folder = folder;
    this.#driver = driver;
  }

  deviceId(claimUid: string): string | undefined {
    return this.#folder === "" ? undefined : `${this.#driver}/${CLASS}=${claimUid}`;
  }

  claimUid(deviceId: string): string | undefined {
    const prefix = `${this.#driver}/${CLASS}=`;
    return deviceId.startsWith(prefix) ? deviceId.slice(prefix.length) : undefined;
  }

  allowCreate({ namespace, name, uid }: ClaimRef): void {
    const spec = {
      cdiVersion: CDI_VERSION,
      kind: `${this.#driver}/${CLASS}`,
      devices: [{
        name: uid,
        containerEdits: {
          // For who looks at the container: its claim.
          env: [`${variable(uid)}=${namespace}/${name}`],
          mounts: [{
            hostPath: this.#path(uid, ATTACHED),
            containerPath: `${MOUNT_FOLDER}/${uid}`,
            options: ["ro", "bind", "nosuid", "nodev", "noexec"],
          }],
        },
      }],
    };
    const content = JSON.stringify(spec, null, 2) + "\n";
    this.#write(this.#path(uid, SPEC), (path) => replaceFile(path, content, { mode: 0o644 }));
  }

  async refuseCreate(claimUid: string): Promise<void> {
    const path = this.#path(claimUid, SPEC);
    await this.#remove(path);
    // Of a write that a crash cut off.
    await this.#remove(`${path}.tmp`);
  }

  allowStart(claimUid: string): void {
    this.#write(this.#path(claimUid, ATTACHED), createEmpty);
  }

  async refuseStart(claimUid: string): Promise<void> {
    await this.#remove(this.#path(claimUid, ATTACHED));
  }

  async startAllowed(claimUid: string): Promise<boolean> {
    if (this.#folder === "") return true;
    try {
      return (await Deno.lstat(this.#path(claimUid, ATTACHED))).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  async list(): Promise<string[]> {
    if (this.#folder === "") return [];
    const uids = new Set<string>();
    try {
      for await (const { name, isFile } of Deno.readDir(this.#folder)) {
        const uid = isFile && this.#uidOf(name);
        if (uid) uids.add(uid);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return [...uids];
  }

  /** Undefined where a file is none of ours, whatever it is called. */
  #uidOf(name: string): string | undefined {
    const prefix = `${this.#driver}_`;
    // A write that a crash cut off counts too, so that it is cleared away.
    const uid = name.match(/^(.*)(\.json(\.tmp)?|\.attached)$/)?.[1];
    if (!uid?.startsWith(prefix)) return undefined;
    try {
      return decodeURIComponent(uid.slice(prefix.length));
    } catch {
      return undefined;
    }
  }

  #write(path: string, write: (path: string) => void): void {
    if (this.#folder === "") return;
    try {
      try {
        assertRealFolder(this.#folder);
        write(path);
      } catch (error) {
        // The first file of the node, or someone cleared the folder away.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        Deno.mkdirSync(this.#folder, { recursive: true, mode: 0o755 });
        write(path);
      }
    } catch (error) {
      throw new Error(`cannot write ${path}: ${(error as Error).message}`, { cause: error });
    }
  }

  async #remove(path: string): Promise<void> {
    if (this.#folder !== "") await removeDurably(path);
  }

  /** No driver name holds "_", so that no driver's files look like another's. */
  #path(claimUid: string, kind: typeof SPEC | typeof ATTACHED): string {
    return join(this.#folder, `${this.#driver}_${encodeURIComponent(claimUid)}${kind}`);
  }
}

/**
 * A file that is not there after a crash only lets containers wait for the agent: nothing is brought
 * to the disk. One that is there stays, for a container may be starting; a link is none.
 */
function createEmpty(path: string): void {
  const create = () => Deno.openSync(path, { write: true, createNew: true, mode: 0o644 }).close();
  try {
    create();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    if (Deno.lstatSync(path).isFile) return;
    Deno.removeSync(path);
    create();
  }
}

/** Named by claim, so that the claims of one container do not overwrite each other's. */
function variable(claimUid: string): string {
  return `NETWORK_CLAIM_${claimUid.replaceAll(/[^A-Za-z0-9]/g, "_").toUpperCase()}`;
}
