/** What a release was made from and how: an in-toto statement with SLSA provenance v1. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { ROOT } from "../executable/deno.ts";
import { type PinnedTool, pinOf } from "../executable/pins.ts";
import type { Target } from "../executable/targets.ts";
import { basePackages } from "../image/base.ts";
import { packageUrl } from "../supply/debian.ts";

/** Who builds where no service of that kind does: whoever signs the statement vouches for it. */
export const LOCAL_BUILDER = "urn:network-dra:builder:whoever-signs";
const BUILD_TYPE = "urn:network-dra:build:deno-task-release:1";

export interface Subject {
  readonly name: string;
  readonly digest: { readonly sha256: string };
}

export interface ProvenanceOptions {
  readonly subject: readonly Subject[];
  readonly target: Target;
  /** URI of what ran the build. */
  readonly builder: string;
  /** Of the sources; undefined where the tree is not that of a commit. */
  readonly commit: string | undefined;
}

/** The same for the same sources: neither time nor random number is in it. */
export async function provenance({ subject, target, builder, commit }: ProvenanceOptions) {
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject,
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: { version: config.version, architecture: target.architecture },
        internalParameters: {},
        resolvedDependencies: [
          ...commit ? [{ name: "network-dra", digest: { gitCommit: commit } }] : [],
          { name: "deno.lock", digest: { sha256: await sha256Of(join(ROOT, "deno.lock")) } },
          ...(["deno", "denort", "esbuild"] as const).flatMap((tool) => toolOf(tool, target)),
          ...basePackages(target.architecture).map((each) => ({
            uri: packageUrl(each),
            digest: { sha256: each.sha256 },
          })),
        ],
      },
      runDetails: { builder: { id: builder } },
    },
  };
}

/** A tool that is checked against a checksum; nothing is claimed of others. */
function toolOf(tool: PinnedTool, target: Target) {
  const { version, sha256 } = pinOf(tool, target);
  return sha256 ? [{ uri: `pkg:generic/${tool}@${version}`, digest: { sha256 } }] : [];
}

export async function sha256Of(path: string): Promise<string> {
  return createHash("sha256").update(await Deno.readFile(path)).digest("hex");
}
