import type { Source } from "../manifests/file_set.ts";
import { RUN_SETTINGS } from "./commands/run.ts";
import { parseConfigYaml } from "./config_yaml.ts";
import { readGivenFile } from "./given_file.ts";
import { UsageError } from "./usage_error.ts";

/** The name of standard input among files, as for kubectl. */
export const STDIN = "-";

/** The text of standard input, to its end. */
export async function readInput(): Promise<string> {
  return await new Response(Deno.stdin.readable).text();
}

/**
 * Reads the files of Kubernetes objects that a command's arguments name. A file that is named twice, by
 * whatever path, is read once, and so is standard input (`-`).
 *
 * @param input gives the text of standard input
 * @throws UsageError for a file that cannot be read, or that is meant for a flag
 */
export async function readSources(
  paths: readonly string[],
  input: () => string | Promise<string> = readInput,
): Promise<Source[]> {
  const sources: Source[] = [];
  const seen = new Set<string>();
  for (const file of paths) {
    const key = realPath(file);
    if (seen.has(key)) continue;
    seen.add(key);
    if (/^https?:\/\//.test(file)) {
      throw new UsageError(
        `${file}: URLs are not supported: download the file first, or pipe it to ${STDIN}`,
      );
    }
    const text = file === STDIN ? await input() : readGivenFile(file);
    if (text.includes("\0")) {
      throw new UsageError(`${file}: is not text in UTF-8: save it with that encoding`);
    }
    const other = meantForFlag(text);
    if (other !== undefined) throw new UsageError(`${file}: ${other}`);
    sources.push({ file, text });
  }
  return sources;
}

/** The real path of a file; the given name if there is none, and for standard input. */
function realPath(file: string): string {
  if (file === STDIN) return STDIN;
  try {
    return Deno.realPathSync(file);
  } catch {
    return file;
  }
}

const CONFIG_KEYS = [...Object.keys(RUN_SETTINGS), "interfaces", "policy"];

/** Describes a file that contains no objects but belongs to a flag or folder, and says which. */
function meantForFlag(text: string): string | undefined {
  let content: unknown;
  try {
    content = parseConfigYaml(text);
  } catch {
    // Several documents or none: these are objects, or nothing that a flag accepts.
    return undefined;
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) return undefined;
  const keys = Object.keys(content);
  if (keys.includes("kind") || keys.includes("apiVersion")) return undefined;
  if (keys.includes("nodes")) {
    return "describes nodes and contains no Kubernetes object; give it to try, as --node FILE";
  }
  if (keys.includes("cniVersion")) {
    return "is a CNI configuration and contains no Kubernetes object; put it into a claim's " +
      "parameters, or into a folder for try --network-dir";
  }
  if (keys.length > 0 && keys.every((key) => CONFIG_KEYS.includes(key))) {
    return "is a configuration file of the agent and contains no Kubernetes object; give it as " +
      "--config FILE";
  }
  return undefined;
}
