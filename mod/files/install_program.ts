import { Buffer } from "node:buffer";
import { writeDurably } from "./durable.ts";

/**
 * Writes a program that only root may run, unless it is there already: a disk that takes nothing at
 * the moment may have it from an earlier start.
 *
 * @returns its path
 */
export async function installProgram(path: string, program: Uint8Array): Promise<string> {
  if (!await holds(path, program)) await writeDurably(path, program, { mode: 0o700 });
  return path;
}

async function holds(path: string, program: Uint8Array): Promise<boolean> {
  try {
    const { isFile, mode } = await Deno.lstat(path);
    if (!isFile || ((mode ?? 0) & 0o777) !== 0o700) return false;
    return Buffer.compare(await Deno.readFile(path), program) === 0;
  } catch {
    return false;
  }
}
