import { TAR_END, tarParts } from "../tar/tar.ts";
import type { Archive } from "./ports.ts";

/**
 * A .tar.gz file that is written as it is filled. It has its name only once it is complete; only its
 * owner may read it.
 */
export class ArchiveFile implements Archive {
  readonly #path: string;
  readonly #folder: string;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #written: Promise<void>;

  private constructor(path: string, folder: string, file: Deno.FsFile) {
    this.#path = path;
    this.#folder = folder;
    const { readable, writable } = new CompressionStream("gzip");
    this.#input = writable.getWriter() as WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
    this.#written = readable.pipeTo(file.writable);
    // It is told by whoever writes next.
    this.#written.catch(() => {});
  }

  /**
   * Begins an archive.
   *
   * @param folder in which its files are
   * @throws Error of Deno where the file cannot be made
   */
  static async create(
    path: string,
    { folder }: { readonly folder: string },
  ): Promise<ArchiveFile> {
    const options = { write: true, create: true, truncate: true, mode: 0o600 };
    return new ArchiveFile(path, folder, await Deno.open(partOf(path), options));
  }

  async add(path: string, content: Uint8Array): Promise<void> {
    const entry = { kind: "file", path: `${this.#folder}/${path}`, mode: 0o600, content } as const;
    for (const part of tarParts(entry)) await this.#write(part);
  }

  /** Ends it; the file is complete. */
  async finish(): Promise<void> {
    await this.#write(TAR_END);
    await this.#input.close();
    await this.#written;
    await Deno.rename(partOf(this.#path), this.#path);
  }

  /** Gives it up; nothing of it is left. */
  async abandon(): Promise<void> {
    await this.#input.abort().catch(() => {});
    await this.#written.catch(() => {});
    await Deno.remove(partOf(this.#path)).catch(() => {});
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (bytes.length > 0) await this.#input.write(bytes as Uint8Array<ArrayBuffer>);
  }
}

/** What the file is called until it is complete. */
function partOf(path: string): string {
  return `${path}.part`;
}
