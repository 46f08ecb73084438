import { buildReleases } from "./go.ts";

const SOURCE = new URL("../integration/metadata_reader", import.meta.url).pathname;

/** The releases of Kubernetes' library for readers that are tested, and the module file of each. */
const MODULE_FILES = { "0.36": "v0.36.mod", "0.37": "go.mod" } as const;
export type ReaderVersion = keyof typeof MODULE_FILES;
export const READER_VERSIONS = Object.keys(MODULE_FILES) as ReaderVersion[];

export type MetadataReaders =
  | Readonly<Record<ReaderVersion, string>>
  | { readonly missing: string };

/**
 * Builds what reads device metadata (tests/integration/metadata_reader/main.go) with each release
 * into the cache, once, and gives the programs' paths. To be called first where the network can be
 * reached. Without Go, or without its modules, it tells why.
 */
export async function fetchMetadataReaders(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<MetadataReaders> {
  return await buildReleases(MODULE_FILES, {
    name: "metadata-reader",
    source: SOURCE,
    what: "what reads device metadata as Kubernetes' library does",
    progress,
  });
}

/** What a reader found in a file, and where in a container it would have looked for it. */
export interface ReadMetadata {
  readonly path: string;
  readonly claim: string;
  readonly generation: number;
  readonly podClaimName: string | null;
  readonly requests: readonly {
    readonly Name: string;
    readonly Devices: readonly Readonly<Record<string, unknown>>[];
  }[];
}

/** Reads a file with one of the programs. @throws Error with what it says of the file */
export async function readMetadata(
  program: string,
  { file, driver, claim, podClaim, request }: {
    readonly file: string;
    readonly driver: string;
    /** Where the claim was not made from a template. */
    readonly claim?: string;
    readonly podClaim?: string;
    readonly request: string;
  },
): Promise<ReadMetadata> {
  const child = new Deno.Command(program, {
    args: [...podClaim ? ["-template"] : [], driver, podClaim ?? claim ?? "", request],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(file));
  await input.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
  return JSON.parse(new TextDecoder().decode(stdout));
}
