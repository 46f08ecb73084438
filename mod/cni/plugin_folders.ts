import { join } from "node:path";
import type { Lack } from "../agent/ports.ts";
import { makeOwnLink } from "../files/own_link.ts";
import { pathInRoot } from "../files/path_in_root.ts";

/** Where plugins are found. */
export interface PluginFoldersOptions {
  /** Folders in which plugins are looked for, in this order, as plugins know them. */
  readonly cniPath: readonly string[];
  /** The root folder in which plugins run, where it is another than this process's. */
  readonly chrootDir?: string;
  /** Has the links that {@link linkPluginFolders} made; needed with a root folder of plugins. */
  readonly stateDir?: string;
}

interface Folder {
  readonly path: string;
  /** The same folder for this process. */
  readonly seenAt: string;
}

interface Program {
  /** Permission bits. */
  readonly mode: number;
  /** Another one once the program is another. */
  readonly stamp: string;
}

/** The folders of the CNI plugins: which plugins there are, and where they run. */
export class PluginFolders {
  readonly #folders: readonly Folder[];
  readonly #inOtherRoot: boolean;

  constructor(options: PluginFoldersOptions) {
    this.#folders = foldersOf(options);
    this.#inOtherRoot = (options.chrootDir ?? "") !== "";
  }

  get paths(): readonly string[] {
    return this.#folders.map(({ path }) => path);
  }

  /** The program of a plugin, by the path by which it is run; undefined where there is none. */
  find(type: string): { readonly path: string; readonly stamp: string } | undefined {
    for (const { path, seenAt } of this.#folders) {
      const program = this.#look(join(seenAt, type));
      if (!program) continue;
      const runAs = join(path, type);
      return { path: runAs, stamp: `${runAs} ${program.stamp}` };
    }
    return undefined;
  }

  /** The types of all plugins that can be run. */
  types(): string[] {
    return [...new Set(this.#folders.flatMap((folder) => [...this.#programsIn(folder)]))]
      .toSorted();
  }

  /** Why no plugin can be run; undefined where there is one. */
  lack(): Lack | undefined {
    if (this.#folders.some((folder) => !this.#programsIn(folder).next().done)) return undefined;
    const where = this.#inOtherRoot ? " in the node's root" : "";
    const folders = this.#folders.map(({ path, seenAt }) =>
      `${path}${where} ${isFolder(seenAt) ? "holds no plugin" : "does not exist"}`
    );
    return {
      problem: folders.join(", "),
      whatToDo: "install CNI plugins there, or set --cni-path (the chart's value cniPath) to the " +
        "folders that hold them",
    };
  }

  *#programsIn({ seenAt }: Folder): Generator<string> {
    for (const name of fileNames(seenAt)) {
      const mode = name.startsWith(".") ? 0 : this.#look(join(seenAt, name))?.mode ?? 0;
      if ((mode & 0o111) !== 0) yield name;
    }
  }

  /** At once, without the detour of an asynchronous call: this stands before every operation. */
  #look(path: string): Program | undefined {
    try {
      const info = Deno.statSync(path);
      return info.isFile ? { mode: info.mode ?? 0, stamp: stampOf(info) } : undefined;
    } catch {
      return this.#inOtherRoot ? lookAtLink(path) : undefined;
    }
  }
}

/** An absolute link in another root leads nowhere in this one. Who runs the program sees whether it is there. */
function lookAtLink(path: string): Program | undefined {
  try {
    if (!Deno.readLinkSync(path).startsWith("/")) return undefined;
    return { mode: 0o755, stamp: stampOf(Deno.lstatSync(path)) };
  } catch {
    return undefined;
  }
}

/**
 * Links from the state folder to where this process sees the folders of plugins that run in another
 * root. By them the confined agent sees these folders and nothing else of that root. Only who may
 * read and write everywhere makes links.
 */
export function linkPluginFolders(options: PluginFoldersOptions): void {
  const { chrootDir } = options;
  if (!chrootDir) return;
  for (const { path, seenAt } of foldersOf(options)) {
    makeOwnLink(seenAt, pathInRoot(chrootDir, path));
  }
}

function foldersOf({ cniPath, chrootDir, stateDir = "" }: PluginFoldersOptions): Folder[] {
  return cniPath.map((path, i) => ({
    path,
    seenAt: chrootDir ? join(stateDir, `plugins-${i}`) : path,
  }));
}

function stampOf({ mtime, size, ino }: Deno.FileInfo): string {
  return `${mtime?.getTime()} ${size} ${ino}`;
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function fileNames(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return [];
  }
}
