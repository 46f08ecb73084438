/** What a build uses besides the packages of deno.lock, held to checksums. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import pins from "./pins.json" with { type: "json" };
import { deno } from "./deno.ts";
import { type Target, targetOf } from "./targets.ts";

export type PinnedTool = keyof typeof pins;

export interface Pinned {
  readonly version: string;
  /** SHA-256; undefined where nobody has looked it up yet. */
  readonly sha256: string | undefined;
}

/** The version of a tool that this project uses, and its checksum for that target. */
export function pinOf(tool: PinnedTool, { triple }: Target): Pinned {
  const [[version, sums]] = Object.entries<Readonly<Record<string, string>>>(pins[tool]) as [
    [string, Readonly<Record<string, string | undefined>>],
  ];
  return { version, sha256: sums[triple] };
}

/**
 * Compares a file with its checksum. Tells one that is not known.
 *
 * @throws Error where it is another
 */
export async function checkPin(
  path: string,
  { tool, target, progress }: {
    readonly tool: PinnedTool;
    readonly target: Target;
    readonly progress: (line: string) => void;
  },
): Promise<void> {
  const { version, sha256 } = pinOf(tool, target);
  const sum = createHash("sha256").update(await Deno.readFile(path)).digest("hex");
  if (sha256 === undefined) {
    progress(
      `${tool} ${version} for ${target.triple} has SHA-256 ${sum}: compare it with the release's, ` +
        "and add it to deploy/executable/pins.json",
    );
  } else if (sum !== sha256) {
    throw new Error(
      `${path} (SHA-256 ${sum}) is not the ${tool} ${version} of deploy/executable/pins.json ` +
        `(${sha256}): remove it, and find out where it came from`,
    );
  }
}

/** Where `deno bundle` keeps the esbuild that it fetches and runs. */
export async function bundlerPath(): Promise<string> {
  const { version } = pinOf("esbuild", targetOf(undefined));
  const machine = { amd64: "x64", arm64: "arm64" }[targetOf(undefined).architecture];
  return join(await denoDir(), `dl/esbuild-${version}/esbuild-linux-${machine}`);
}

/** Where `deno compile` keeps the base runtime that it fetches for a target. */
export async function baseRuntimePath({ triple }: Target): Promise<string> {
  return join(await denoDir(), `dl/release/v${Deno.version.deno}/denort-${triple}.zip`);
}

async function denoDir(): Promise<string> {
  const { success, stdout, stderr } = await deno("info", "--json");
  if (!success) throw new Error(`deno info failed: ${stderr}`);
  return JSON.parse(stdout).denoDir;
}
