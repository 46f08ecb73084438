import { createHash } from "node:crypto";
import { join } from "node:path";
import { writeDurably } from "../files/durable.ts";

/** In the folder of the plugins; names that begin with a dot are not plugins. */
const RECORD = ".network-dra-plugins.json";

/** What became of each plugin of a source folder. */
export interface Installed {
  /** It was not there. */
  readonly added: readonly string[];
  /** It was there from an earlier installation, and another one. */
  readonly updated: readonly string[];
  /** It was there, and from someone else. */
  readonly kept: readonly string[];
}

/** SHA-256 of what was installed, by plugin. */
type Digests = Record<string, string>;

/**
 * Copies programs into a node's folder of CNI plugins. What someone else put there, or changed
 * since, is never overwritten: a record in the folder says what was installed.
 *
 * @throws Error where a folder cannot be read or written
 */
export async function installPlugins(
  { from, to }: { readonly from: string; readonly to: string },
): Promise<Installed> {
  const programs = await programsOf(from);
  if (programs.length === 0) throw new Error(`${from} contains no programs`);
  const before = await readRecord(to);
  const record: Digests = { ...before };
  const installed = { added: [] as string[], updated: [] as string[], kept: [] as string[] };
  for (const name of programs) {
    const content = await Deno.readFile(join(from, name));
    const digest = digestOf(content);
    const present = await digestAt(join(to, name));
    if (present === digest) continue;
    if (present !== undefined && present !== before[name]) {
      installed.kept.push(name);
      continue;
    }
    await writeDurably(join(to, name), content, { mode: 0o755 });
    // A crash before this leaves a program that is taken for someone else's: too careful, not too bold.
    record[name] = digest;
    await writeDurably(join(to, RECORD), `${JSON.stringify(record, null, 2)}\n`);
    (present === undefined ? installed.added : installed.updated).push(name);
  }
  return installed;
}

/** Names of the executable files of a folder, links to such among them. */
async function programsOf(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (name.startsWith(".")) continue;
    const { isFile, mode } = await Deno.stat(join(folder, name));
    if (isFile && ((mode ?? 0) & 0o111) !== 0) names.push(name);
  }
  return names.toSorted();
}

/** Undefined where nothing exists; anything but a file has a digest that no file has. */
async function digestAt(path: string): Promise<string | undefined> {
  try {
    const { isFile } = await Deno.lstat(path);
    return isFile ? digestOf(await Deno.readFile(path)) : "not a file";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** A record that cannot be read owns nothing. */
async function readRecord(folder: string): Promise<Digests> {
  try {
    const record = JSON.parse(await Deno.readTextFile(join(folder, RECORD)));
    return typeof record === "object" && record !== null ? record : {};
  } catch {
    return {};
  }
}

function digestOf(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
