import { createHash } from "node:crypto";
import { join } from "node:path";
import type { AttachmentRecord, ClaimRecord, Loaded, PodRecords, PodRef } from "../agent/model.ts";
import type { Journal, Log } from "../agent/ports.ts";
import { removeDurably, writeDurably } from "../files/durable.ts";
import { makeOwnFolder } from "../files/own_folder.ts";
import { RECORD_VERSION } from "./record_version.ts";
import { parseAttachmentRecord, parseClaimRecord } from "./records.ts";
import { STATE_PATHS } from "../files/state_paths.ts";
import { errorMessage } from "../async/error_message.ts";

const { claims: CLAIMS, attachments: ATTACHMENTS } = STATE_PATHS;
/** A plugin's result is at most 1 MiB, and stands here with indentation. */
const RECORD_LIMIT = 8 * 1024 * 1024;
/** Ends the name of a file that cannot be understood. */
const ASIDE = ".corrupt";

/**
 * The agent's records as files in its state folder: one small JSON file a record, which a person
 * can read, under `claims/` and `attachments/`.
 *
 * A file that cannot be understood is put aside as `*.corrupt` and reported; it never keeps the
 * agent from starting.
 */
export class FileJournal implements Journal {
  readonly #folder: string;
  readonly #log: Log;

  constructor(folder: string, { log }: { readonly log: Log }) {
    this.#folder = folder;
    this.#log = log;
  }

  async load(): Promise<Loaded> {
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
      unreadable: [...new Set(attachments.unreadable.map(claimUidOf))],
    };
  }

  async look(pod: PodRef): Promise<PodRecords> {
    const { records, unreadable } = await this.#lookAt(CLAIMS, parseClaimRecord, "");
    const isFor = ({ pods }: ClaimRecord) => pods.some(({ uid }) => uid === pod.uid);
    const claims = records.filter(isFor);
    const attachments = await Promise.all(claims.map(async ({ claim }) => {
      const prefix = claimFile(claim.uid).slice(0, -".json".length);
      // One that cannot be read counts as not attached.
      return (await this.#lookAt(ATTACHMENTS, parseAttachmentRecord, prefix)).records;
    }));
    const shareable = records.filter((record) =>
      record.shareable && record.claim.namespace === pod.namespace && !isFor(record)
    );
    return { claims, attachments: attachments.flat(), shareable, unreadable };
  }

  async putClaim(record: ClaimRecord): Promise<void> {
    await this.#put(CLAIMS, claimFile(record.claim.uid), record);
  }

  async removeClaim(uid: string): Promise<void> {
    await this.#remove(CLAIMS, claimFile(uid));
  }

  async putAttachment(record: AttachmentRecord): Promise<void> {
    await this.#put(ATTACHMENTS, attachmentFile(record), record);
  }

  async removeAttachment(record: AttachmentRecord): Promise<void> {
    await this.#remove(ATTACHMENTS, attachmentFile(record));
  }

  /** Also what a crash left of its last write, which a disk that took nothing kept at the start. */
  async #remove(kind: string, name: string): Promise<void> {
    const path = join(this.#folder, kind, name);
    for (const file of [path, `${path}.tmp`]) await removeDurably(file);
  }

  async #put(kind: string, name: string, record: ClaimRecord | AttachmentRecord): Promise<void> {
    const path = join(this.#folder, kind, name);
    const content = JSON.stringify({ version: RECORD_VERSION, ...record }, null, 2) + "\n";
    try {
      await writeDurably(path, content);
    } catch (error) {
      throw new Error(`cannot write the record ${path}: ${errorMessage(error)}`, { cause: error });
    }
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
        // nothing at the moment keeps it until the next start.
        await Deno.remove(path).catch((error) => this.#say("cannot remove a file", path, error));
      } else if (name.endsWith(".json")) {
        try {
          // Neither a link, which may lead anywhere, nor a pipe, whose reader would wait for ever.
          if (!isFile) throw new Error("it is no file of its own");
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

  /** The records whose names begin so, and whether there are others that cannot be read. */
  async #lookAt<T>(
    kind: string,
    parse: (json: unknown) => T,
    prefix: string,
  ): Promise<{ records: T[]; unreadable: boolean }> {
    const records: T[] = [];
    let unreadable = false;
    const folder = join(this.#folder, kind);
    try {
      for await (const { name, isFile } of Deno.readDir(folder)) {
        if (!isFile || !name.startsWith(prefix) || !name.endsWith(".json")) continue;
        try {
          records.push(parse(JSON.parse(await readSmall(join(folder, name)))));
        } catch (error) {
          // What the agent that leads removes meanwhile was not to be read.
          if (!(error instanceof Deno.errors.NotFound)) unreadable = true;
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
      this.#say("cannot put a record aside", path, error);
    }
    this.#log.error(
      "a record cannot be understood and was put aside: what it names may be left on the node",
      { file: aside, error: errorMessage(cause) },
    );
  }

  #say(what: string, file: string, error: unknown): void {
    this.#log.warn(what, { file, error: errorMessage(error) });
  }
}

/** @throws Error for a file that is longer than any record */
async function readSmall(path: string): Promise<string> {
  const { size } = await Deno.lstat(path);
  if (size > RECORD_LIMIT) throw new Error(`it has ${size} bytes, more than any record`);
  return await Deno.readTextFile(path);
}

/** UIDs are UUIDs; whatever else comes cannot lead out of the folder. */
function claimFile(uid: string): string {
  return `${encodeURIComponent(uid).replaceAll(".", "%2E").slice(0, 200)}.json`;
}

/** Named by claim and by the whole key (design decision 4), which is too long for a name. */
function attachmentFile({ claim, sandbox, attachment }: AttachmentRecord): string {
  const { request, pool, device, shareID } = attachment;
  const key = JSON.stringify([claim.uid, request, pool, device, shareID ?? "", sandbox.id]);
  const hash = createHash("sha256").update(key).digest("hex").slice(0, 32);
  return `${claimFile(claim.uid).slice(0, -".json".length)}.${hash}.json`;
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
