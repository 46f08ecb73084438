import { join } from "node:path";
import type { Json } from "./mutate_json.ts";

const CORPUS = new URL("corpus", import.meta.url).pathname;

/** The files of a target in tests/fuzz/corpus, by name. */
export async function corpus(target: string): Promise<Map<string, string>> {
  const folder = join(CORPUS, target);
  const files = new Map<string, string>();
  for await (const { name } of Deno.readDir(folder)) {
    files.set(name, await Deno.readTextFile(join(folder, name)));
  }
  return new Map([...files].toSorted(([a], [b]) => a < b ? -1 : 1));
}

/** Files of hexadecimal numbers; what follows # is a remark. */
export async function bytesCorpus(target: string): Promise<Uint8Array[]> {
  return [...(await corpus(target)).values()].map((text) => fromHex(text.replaceAll(/#.*/g, "")));
}

export async function jsonCorpus(target: string): Promise<Json[]> {
  return [...(await corpus(target)).values()].map((text) => JSON.parse(text));
}

export function fromHex(text: string): Uint8Array {
  const pairs = text.replaceAll(/\s/g, "").match(/../g) ?? [];
  return new Uint8Array(pairs.map((pair) => parseInt(pair, 16)));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
