import { join } from "node:path";
import type { CdiFiles, Lack } from "../agent/ports.ts";
import { errorMessage } from "../async/error_message.ts";
import type { ClaimMetadata } from "../agent/model.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import { IDENTITY } from "../claim/field.ts";
import { removeDurably, replaceFile, writeInPlace } from "../files/durable.ts";
import { assertRealFolder } from "../files/own_folder.ts";
import { byRequest, containerPath, metadataStream } from "./device_metadata.ts";

/** The CDI specification version that has all we use, and that containerd 1.7 reads. */
const CDI_VERSION = "0.5.0";
const CLASS = "claim";
const SPEC = ".json";
const ATTACHED = ".attached";
const METADATA = ".metadata";

/**
 * Where the mounts of containers that name a claim are, one a claim. Not under /dev or /run: where a
 * pod mounts the host's, the runtime would make the mount point on the host.
 */
export const MOUNT_FOLDER = "/etc/network-dra";

/** How containers get our files: to read, and for nothing else. */
const MOUNT = ["ro", "bind", "nosuid", "nodev", "noexec"];

/**
 * Two files a claim (design decision 11), which hold containers back whether this agent runs or not:
 *
 * - `<folder>/<driver>_<claim uid>.json`, a CDI spec with one device `<driver>/claim=<claim uid>`. The
 *   runtime creates no container whose device has no file.
 * - `<folder>/<driver>_<claim uid>.attached`, empty, which that device mounts. The runtime starts no
 *   container where what it shall mount is not there.
 *
 * Beside them a folder `<folder>/<driver>_<claim uid>.metadata` with a file a request, which the device
 * mounts too: what the claim got (KEP-5304). It is complete before the second file is there.
 *
 * All lie here because the runtime finds this folder at the same path as the agent, and a reboot
 * clears it. CDI reads only files that end in .json or .yaml, and no folders.
 */
export class CdiSpecFiles implements CdiFiles {
  readonly #folder: string;
  readonly #driver: string;
  readonly #metadata: boolean;

  /**
   * @param folder where the runtime looks for CDI specs; empty turns CDI off
   * @param metadata whether containers can read what their claims got
   */
  constructor(
    folder: string,
    { driver, metadata = true }: { readonly driver: string; readonly metadata?: boolean },
  ) {
    this.#folder = folder;
    this.#driver = driver;
    this.#metadata = metadata;
  }

  /** Why the folder cannot be used; undefined where it can. Makes it where it is not there. */
  lack(): Lack | undefined {
    if (this.#folder === "") return undefined;
    try {
      this.#inFolder(() => assertRealFolder(this.#folder));
      return undefined;
    } catch (error) {
      return {
        problem: `the folder ${this.#folder} cannot be used: ${errorMessage(error)}`,
        whatToDo: "set --cdi-dir (the chart's value cdiDir) to the folder where the container " +
          "runtime looks for CDI specs",
      };
    }
  }

  deviceId(claimUid: string): string | undefined {
    return this.#folder === "" ? undefined : `${this.#driver}/${CLASS}=${claimUid}`;
  }

  claimUid(deviceId: string): string | undefined {
    const prefix = `${this.#driver}/${CLASS}=`;
    return deviceId.startsWith(prefix) ? deviceId.slice(prefix.length) : undefined;
  }

  allowCreate(metadata: ClaimMetadata): void {
    const { namespace, name, uid } = metadata.claim;
    const mounts = [{
      hostPath: this.#path(uid, ATTACHED),
      containerPath: `${MOUNT_FOLDER}/${uid}`,
      options: MOUNT,
    }];
    for (const request of this.#requests(metadata).keys()) {
      mounts.push({
        hostPath: this.#metadataPath(uid, request),
        containerPath: containerPath(metadata, { request, driver: this.#driver }),
        options: MOUNT,
      });
    }
    const spec = {
      cdiVersion: CDI_VERSION,
      kind: `${this.#driver}/${CLASS}`,
      devices: [{
        name: uid,
        containerEdits: {
          // For who looks at the container: its claim.
          env: [`${variable(uid)}=${namespace}/${name}`],
          mounts,
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

  allowStart(metadata: ClaimMetadata): void {
    const { uid } = metadata.claim;
    const driver = this.#driver;
    for (const [request, devices] of this.#requests(metadata)) {
      this.#write(this.#metadataPath(uid, request), (path) => {
        makeFolder(this.#path(uid, METADATA));
        update(path, (generation) => metadataStream(metadata, { devices, driver, generation }));
      });
    }
    this.#write(this.#path(uid, ATTACHED), createEmpty);
  }

  async refuseStart(claimUid: string): Promise<void> {
    await this.#remove(this.#path(claimUid, ATTACHED));
    if (this.#folder !== "") removeFolder(this.#path(claimUid, METADATA));
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
      for await (const entry of Deno.readDir(this.#folder)) {
        const uid = this.#uidOf(entry);
        if (uid) uids.add(uid);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return [...uids];
  }

  async claims(): Promise<ClaimRef[]> {
    const claims: ClaimRef[] = [];
    for (const uid of await this.list()) {
      const claim = claimIn(read(this.#path(uid, SPEC)), uid);
      if (claim) claims.push(claim);
    }
    return claims;
  }

  /** Undefined where it is not ours, whatever it is called. */
  #uidOf({ name, isFile, isDirectory }: Deno.DirEntry): string | undefined {
    const prefix = `${this.#driver}_`;
    // A write that a crash cut off counts too, so that it is cleared away.
    const file = isFile && name.match(/^(.*)(\.json(\.tmp)?|\.attached)$/);
    const uid = (file || isDirectory && name.match(/^(.*)\.metadata$/) || undefined)?.[1];
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
      this.#inFolder(() => {
        assertRealFolder(this.#folder);
        write(path);
      });
    } catch (error) {
      throw new Error(`cannot write ${path}: ${errorMessage(error)}`, { cause: error });
    }
  }

  /** Makes the folder where it is not there: the first time, or when someone cleared it away. */
  #inFolder(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      Deno.mkdirSync(this.#folder, { recursive: true, mode: 0o755 });
      act();
    }
  }

  async #remove(path: string): Promise<void> {
    if (this.#folder !== "") await removeDurably(path);
  }

  #requests({ devices }: ClaimMetadata): ReturnType<typeof byRequest> {
    return byRequest(this.#metadata ? devices : []);
  }

  /** No driver name holds "_", so that no driver's files look like another's. */
  #path(claimUid: string, kind: typeof SPEC | typeof ATTACHED | typeof METADATA): string {
    return join(this.#folder, `${this.#driver}_${encodeURIComponent(claimUid)}${kind}`);
  }

  #metadataPath(claimUid: string, request: string): string {
    return join(this.#path(claimUid, METADATA), `${encodeURIComponent(request)}.json`);
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

/**
 * Brings a file of metadata up to date. Those who have it mounted see it, hence in place; a part of it
 * is seen by none, for who reads it for the first time waits for the file that lets containers start.
 */
function update(path: string, contentOf: (generation: number) => string): void {
  const present = read(path);
  const generation = Number(present.match(/"generation": (\d+)/)?.[1] ?? 0);
  if (present !== contentOf(generation)) {
    writeInPlace(path, contentOf(generation + 1), { mode: 0o644 });
  }
}

/** Empty where there is no file. */
function read(path: string): string {
  try {
    return Deno.lstatSync(path).isFile ? Deno.readTextFileSync(path) : "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

function makeFolder(path: string): void {
  try {
    Deno.mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    assertRealFolder(path);
  }
}

function removeFolder(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The claim that a spec names; undefined if allowCreate() has not written the spec. */
function claimIn(spec: string, uid: string): ClaimRef | undefined {
  const prefix = `"${variable(uid)}=`;
  const from = spec.indexOf(prefix) + prefix.length;
  const [namespace = "", name = ""] = spec.slice(from, spec.indexOf('"', from)).split("/");
  const isClaim = spec.includes(prefix) && IDENTITY.test(namespace) && IDENTITY.test(name);
  return isClaim ? { namespace, name, uid } : undefined;
}

/** Named by claim, so that the claims of one container do not overwrite each other's. */
function variable(claimUid: string): string {
  return `NETWORK_CLAIM_${claimUid.replaceAll(/[^A-Za-z0-9]/g, "_").toUpperCase()}`;
}
