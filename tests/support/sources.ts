import { join } from "node:path";

/** A file of the project's code, without tests. */
export interface Source {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
}

/** Reads the TypeScript files below a folder, without tests, sorted by path. */
export async function sources(folder: string): Promise<Source[]> {
  const found: Source[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) found.push(...await sources(path));
    else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) {
      found.push({ path, text: await Deno.readTextFile(path) });
    }
  }
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}
