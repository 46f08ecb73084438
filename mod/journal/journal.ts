import { createHash } from "node:crypto";
import { join } from "node:path";
import type { AttachmentRecord, ClaimRecord, Loaded, PodRecords, PodRef } from "../agent/model.ts";
import type { Journal, Log } from "../agent/ports.ts";
import {
  removeDurably,
  removeIfThere,
  renameDurably,
  writeDurably,
  writeInPlace,
} from "../files/durable.ts";
import { makeOwnFolder } from "../files/own_folder.ts";
import { RECORD_VERSION } from "./record_version.ts";
import { parseAttachmentRecord, parseClaimRecord } from "./records.ts";
import { STATE_PATHS } from "../files/state_paths.ts";
import { errorMessage } from "../async/error_message.ts";

const { claims: CLAIMS, attachments: ATTACHMENTS } = STATE_PATHS;
/** A plugin's result is at most 1 MiB, and is indented here. */
const RECORD_LIMIT = 8 * 1024 * 1024;
/** Ends the name of a file that cannot be understood. */
const ASIDE = ".corrupt";
const RECORD = ".json";
/** Ends the name of a claim's record from when the claim was unprepared until it is forgotten. */
const DEPARTED = ".departed";

/**
 * The agent's records as files in its state folder: one small JSON file a record, which a person
 * can read, under `claims/` and `attachments/`. Those of claims that were unprepared a while ago end
 * in `.departed`.
 *
 * A file that cannot be understood is set aside as `*.corrupt` and reported; it never keeps the
 * agent from starting.
 */
export class FileJournal implements Journal {
  readonly #folder: string;
  readonly #log: Log;
  /** Files to be removed, which the disk may not have let go: such as what failed writes left. */
  readonly #remains = new Set<string>();

  constructor(folder: string, { log }: { readonly log: Log }) {
    this.#folder = folder;
    this.#log = log;
  }

  async load(): Promise<Loaded> {
    this.#remains.clear();
    for (const kind of [CLAIMS, ATTACHMENTS]) {
      await makeOwnFolder(join(this.#folder, kind));
    }
    const claims = await this.#loadAll(CLAIMS, {
      parse: parseClaimRecord,
      fileOf: ({ claim }) => claimFile(claim.uid),
    });
    const attachments = await this.#loadAll(ATTACHMENTS, {
      parse: parseAttachmentRecord,
      fileOf: attachmentFile,
    });
    return {
      claims: claims.records,
      attachments: attachments.records,
      unreadable: attachments.unreadable.map((name) => ({
        claimUid: claimUidOf(name),
        // Put aside, it has a longer name.
        isOf: (record) => name.startsWith(attachmentFile(record)),
      })),
      departed: await this.#loadDeparted(),
    };
  }

  async look(pod: PodRef): Promise<PodRecords> {
    const { records, unreadable } = await this.#lookAt(CLAIMS, parseClaimRecord);
    const isFor = ({ pods }: ClaimRecord) => pods.some(({ uid }) => uid === pod.uid);
    const claims = records.filter(isFor);
    const attachments = await Promise.all(claims.map(async ({ claim }) => {
      const prefix = claimFile(claim.uid).slice(0, -RECORD.length);
      // One that cannot be read counts as not attached.
      return (await this.#lookAt(ATTACHMENTS, parseAttachmentRecord, { prefix })).records;
    }));
    const shareable = records.filter((record) => record.shareable && !isFor(record));
    const recorded = new Set(records.map(({ claim }) => claim.uid));
    const departed = (await this.#departed()).filter(({ claim }) => !recorded.has(claim.uid));
    const others = [...shareable, ...departed]
      .filter(({ claim }) => claim.namespace === pod.namespace);
    return {
      claims,
      attachments: attachments.flat(),
      shareable: others,
      unreadable: unreadable.length > 0,
      recorded,
    };
  }

  /** All that is on record, and the names of files that cannot be read. Changes nothing. */
  async read(): Promise<{
    readonly claims: readonly ClaimRecord[];
    readonly attachments: readonly AttachmentRecord[];
    readonly unreadable: readonly string[];
  }> {
    const claims = await this.#lookAt(CLAIMS, parseClaimRecord);
    const attachments = await this.#lookAt(ATTACHMENTS, parseAttachmentRecord);
    const [claimsAside, attachmentsAside] = await Promise.all(
      [CLAIMS, ATTACHMENTS].map((kind) => namesAside(join(this.#folder, kind))),
    );
    return {
      claims: claims.records,
      attachments: attachments.records,
      unreadable: [
        ...[...claims.unreadable, ...claimsAside!].map((name) => join(CLAIMS, name)),
        ...[...attachments.unreadable, ...attachmentsAside!].map((name) => join(ATTACHMENTS, name)),
      ],
    };
  }

  async putClaim(record: ClaimRecord): Promise<void> {
    await this.#put(CLAIMS, claimFile(record.claim.uid), record);
  }

  async removeClaim(uid: string, { departs }: { readonly departs: boolean }): Promise<void> {
    const name = claimFile(uid);
    if (departs) {
      const memory = this.#departedPath(uid);
      this.#remains.delete(memory);
      await renameDurably(join(this.#folder, CLAIMS, name), memory);
    }
    await this.#remove(CLAIMS, name);
  }

  forgetDeparted(uid: string): void {
    this.#remains.add(this.#departedPath(uid));
    this.tidy();
  }

  async putAttachment(record: AttachmentRecord): Promise<void> {
    await this.#put(ATTACHMENTS, attachmentFile(record), record);
  }

  noteAddStarted(record: AttachmentRecord): void {
    const path = join(this.#folder, ATTACHMENTS, attachmentFile(record));
    // As long as what stands there, and the same but for this word: no crash leaves a part of it.
    const content = contentOf({ ...record, add: "started" });
    try {
      writeInPlace(path, content);
    } catch (error) {
      throw new Error(`cannot write the record ${path}: ${errorMessage(error)}`, { cause: error });
    }
  }

  async removeAttachment(record: AttachmentRecord): Promise<void> {
    await this.#remove(ATTACHMENTS, attachmentFile(record));
  }

  tidy(): void {
    for (const path of this.#remains) {
      try {
        removeIfThere(path);
        this.#remains.delete(path);
      } catch {
        // The disk still takes nothing: the next time.
      }
    }
  }

  /** Also what a crash left of its last write, which a disk that took nothing kept at the start. */
  async #remove(kind: string, name: string): Promise<void> {
    const path = join(this.#folder, kind, name);
    for (const file of [path, temporaryOf(path)]) await removeDurably(file);
  }

  async #put(kind: string, name: string, record: ClaimRecord | AttachmentRecord): Promise<void> {
    const path = join(this.#folder, kind, name);
    // From now on it is this write's.
    this.#remains.delete(temporaryOf(path));
    try {
      await writeDurably(path, contentOf(record));
    } catch (error) {
      this.#remains.add(temporaryOf(path));
      throw new Error(`cannot write the record ${path}: ${errorMessage(error)}`, { cause: error });
    }
  }

  #departedPath(uid: string): string {
    return join(this.#folder, CLAIMS, claimFile(uid).slice(0, -RECORD.length) + DEPARTED);
  }

  async #departed(): Promise<ClaimRecord[]> {
    return (await this.#lookAt(CLAIMS, parseClaimRecord, { suffix: DEPARTED })).records;
  }

  /** Those that cannot be read say nothing that could be missed. */
  async #loadDeparted(): Promise<ClaimRecord[]> {
    const { records, unreadable } = await this.#lookAt(CLAIMS, parseClaimRecord, {
      suffix: DEPARTED,
    });
    for (const name of unreadable) this.#remains.add(join(this.#folder, CLAIMS, name));
    this.tidy();
    return records;
  }

  /** The records of a kind, and the names of files that cannot be understood. */
  async #loadAll<T>(
    kind: string,
    { parse, fileOf }: {
      readonly parse: (json: unknown) => T;
      readonly fileOf: (record: T) => string;
    },
  ): Promise<{ records: T[]; unreadable: string[] }> {
    const records: T[] = [];
    const unreadable: string[] = [];
    const folder = join(this.#folder, kind);
    for await (const { name, isFile } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (name.endsWith(".tmp")) {
        // A write that a crash cut off: what it was to replace still stands. A disk that takes
        // nothing at the moment keeps it for a while.
        await Deno.remove(path).catch((error) => {
          this.#remains.add(path);
          this.#say("cannot remove a file", path, error);
        });
      } else if (name.endsWith(RECORD)) {
        try {
          // Neither a link, which may lead anywhere, nor a pipe, whose reader would wait forever.
          if (!isFile) throw new Error("it is not a regular file");
          const record = parse(JSON.parse(await readSmall(path)));
          // By another name it could neither be replaced nor removed.
          if (fileOf(record) !== name) throw new Error(`its name must be ${fileOf(record)}`);
          records.push(record);
        } catch (error) {
          unreadable.push(name);
          await this.#putAside(path, error);
        }
      } else if (name.endsWith(ASIDE)) {
        // Put aside at an earlier start, which may have come no further.
        unreadable.push(name);
      }
    }
    return { records, unreadable };
  }

  /** The records whose names begin and end so, and the names of others that cannot be read. */
  async #lookAt<T>(
    kind: string,
    parse: (json: unknown) => T,
    { prefix = "", suffix = RECORD }: { readonly prefix?: string; readonly suffix?: string } = {},
  ): Promise<{ records: T[]; unreadable: string[] }> {
    const records: T[] = [];
    const unreadable: string[] = [];
    const folder = join(this.#folder, kind);
    try {
      for await (const { name, isFile } of Deno.readDir(folder)) {
        if (!isFile || !name.startsWith(prefix) || !name.endsWith(suffix)) continue;
        try {
          records.push(parse(JSON.parse(await readSmall(join(folder, name)))));
        } catch (error) {
          // What the agent that leads removes meanwhile was not to be read.
          if (!(error instanceof Deno.errors.NotFound)) unreadable.push(name);
        }
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return { records, unreadable };
  }

  async #putAside(path: string, cause: unknown): Promise<void> {
    const aside = `${path}${ASIDE}`;
    try {
      await Deno.rename(path, aside);
    } catch (error) {
      this.#say("cannot set a record aside", path, error);
    }
    this.#log.error(
      "cannot read a record; it was set aside, and what it names may be left on the node",
      { file: aside, error: errorMessage(cause) },
    );
  }

  #say(what: string, file: string, error: unknown): void {
    this.#log.warn(what, { file, error: errorMessage(error) });
  }
}

/** The names of files that an earlier start has put aside; none where there is no folder. */
async function namesAside(folder: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.map(({ name }) => name).filter((name) => name.endsWith(ASIDE));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** @throws Error for a file that is longer than any record */
async function readSmall(path: string): Promise<string> {
  const { size } = await Deno.lstat(path);
  if (size > RECORD_LIMIT) {
    throw new Error(`it has ${size} bytes; a record has at most ${RECORD_LIMIT}`);
  }
  return await Deno.readTextFile(path);
}

/** Where writeDurably() writes what is to stand at the path. */
function temporaryOf(path: string): string {
  return `${path}.tmp`;
}

function contentOf(record: ClaimRecord | AttachmentRecord): string {
  return JSON.stringify({ version: RECORD_VERSION, ...record }, null, 2) + "\n";
}

/** UIDs are UUIDs; whatever else comes cannot lead out of the folder. */
function claimFile(uid: string): string {
  return `${encodeURIComponent(uid).replaceAll(".", "%2E").slice(0, 200)}${RECORD}`;
}

/** Named by claim and by the whole key (design decision 4), which is too long for a name. */
function attachmentFile(
  { claim, sandbox, attachment }: Pick<AttachmentRecord, "claim" | "sandbox" | "attachment">,
): string {
  const { request, pool, device, shareID } = attachment;
  const key = JSON.stringify([claim.uid, request, pool, device, shareID ?? "", sandbox.id]);
  const hash = createHash("sha256").update(key).digest("hex").slice(0, 32);
  return `${claimFile(claim.uid).slice(0, -RECORD.length)}.${hash}${RECORD}`;
}

/** The claim of an attachment's file, by the name that attachmentFile() gave it. */
function claimUidOf(name: string): string {
  const uid = name.split(".")[0]!;
  try {
    return decodeURIComponent(uid);
  } catch {
    // A name that attachmentFile() does not give.
    return uid;
  }
}
