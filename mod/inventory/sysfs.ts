import { join } from "node:path";
import { makeOwnLink } from "../files/own_link.ts";
import type { Link } from "./link.ts";
import { LINK_FILES, linkOf, pciFolder } from "./sysfs_link.ts";
import { errorMessage } from "../async/error_message.ts";

/** Reads text files, those that can be read, by path. */
export type ReadTexts = (
  paths: readonly string[],
  signal: AbortSignal,
) => Promise<Map<string, string>>;

const LINK = "sysfs";

/**
 * Folders, or files, that are read at a stretch (a third of a millisecond for a folder): with hundreds of pods
 * there are thousands, and the runtime waits meanwhile.
 */
const STRETCH = 16;

/** Paths that grep gets at once: arguments may take 2 MB. */
const MOST_ARGUMENTS = 4_000;

/** A link's folder in sysfs. */
interface Folder {
  readonly name: string;
  readonly path: string;
  readonly entries: readonly string[];
}

/** The node's links, from sysfs. */
export class SysfsLinks {
  readonly #link: string;
  readonly #readBy: ReadTexts;
  /** Whether Deno lets files be read there; otherwise a program reads them. */
  #open = true;

  /**
   * @param stateDir has the link that {@link linkSysfs} made
   * @param readBy reads files where Deno does not let them be read
   */
  constructor({ stateDir, readBy }: { readonly stateDir: string; readonly readBy: ReadTexts }) {
    this.#link = join(stateDir, LINK);
    this.#readBy = readBy;
  }

  /** @throws Error that says what to do */
  async read(signal: AbortSignal): Promise<Link[]> {
    const folders = await linkFolders(join(this.#link, "class/net"));
    const paths = folders.flatMap((folder) => [...filesOf(folder).values()]);
    const texts = this.#open && await this.#readAll(paths) ||
      await this.#readBy(paths, signal);
    return folders.flatMap((folder) => {
      const files: Record<string, string> = {};
      for (const [file, path] of filesOf(folder)) {
        const text = texts.get(path);
        if (text !== undefined) files[file] = text.trim();
      }
      return linkOf({ ...folder, files }) ?? [];
    });
  }

  async #readAll(paths: readonly string[]): Promise<Map<string, string> | undefined> {
    const texts = new Map<string, string>();
    for await (const path of withBreaks(paths)) {
      try {
        texts.set(path, Deno.readTextFileSync(path));
      } catch (error) {
        if (error instanceof Deno.errors.NotCapable) {
          this.#open = false;
          return undefined;
        }
        // A link that went away, or the speed of one that is down.
      }
    }
    return texts;
  }
}

async function linkFolders(folder: string): Promise<Folder[]> {
  const found: Folder[] = [];
  for await (const { name, isSymlink } of withBreaks([...Deno.readDirSync(folder)])) {
    // There are also files beside the links, such as bonding_masters.
    if (!isSymlink) continue;
    try {
      const at = join(folder, name);
      const entries = [...Deno.readDirSync(at)].map((entry) => entry.name);
      found.push({ name, path: Deno.realPathSync(at), entries });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return found;
}

/** Each of them, with breaks in which whatever else waits has its turn. */
async function* withBreaks<T>(all: readonly T[]): AsyncGenerator<T> {
  for (const [i, each] of all.entries()) {
    if (i > 0 && i % STRETCH === 0) await new Promise((resolve) => setTimeout(resolve));
    yield each;
  }
}

/** The paths of a link's files, by what they hold. */
function filesOf({ path, entries }: Folder): Map<string, string> {
  const files = new Map<string, string>(
    LINK_FILES.filter((file) => entries.includes(file)).map((file) => [file, join(path, file)]),
  );
  if (entries.includes("master")) files.set("master", join(path, "master/uevent"));
  const pci = pciFolder(path);
  if (pci) files.set("numa_node", join(pci, "numa_node"));
  return files;
}

/**
 * Deno keeps what is named /sys from all but programs that may do everything. Through a link it lists
 * folders and resolves paths there, but opens no file (measured on 2.9.3). Only who may read and
 * write everywhere makes links.
 *
 * @param sysfs where sysfs is mounted
 * @param stateDir a folder of the agent's own, which exists
 */
export function linkSysfs(
  { sysfs, stateDir }: { readonly sysfs: string; readonly stateDir: string },
): void {
  makeOwnLink(join(stateDir, LINK), sysfs);
}

/** Reads files by grep, which prints each line with its file. */
export async function grepAll(
  paths: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (let i = 0; i < paths.length; i += MOST_ARGUMENTS) {
    const some = paths.slice(i, i + MOST_ARGUMENTS);
    const wanted = new Set(some);
    for (const line of (await grep(some, signal)).split("\n")) {
      // Paths of PCI devices hold colons themselves.
      for (let end = line.indexOf(":"); end >= 0; end = line.indexOf(":", end + 1)) {
        const path = line.slice(0, end);
        if (!wanted.has(path)) continue;
        texts.set(path, `${texts.get(path) ?? ""}${line.slice(end + 1)}\n`);
        break;
      }
    }
  }
  return texts;
}

async function grep(paths: readonly string[], signal: AbortSignal): Promise<string> {
  try {
    const args = ["-Hs", "", ...paths];
    const { stdout } = await new Deno.Command("grep", { args, stdin: "null", signal }).output();
    return new TextDecoder().decode(stdout);
  } catch (cause) {
    throw new Error(
      "the agent reads files below /sys with grep, which cannot be run " +
        `(${
          errorMessage(cause)
        }): mount the node's /sys at another path, and set --sysfs-dir to it`,
      { cause },
    );
  }
}
