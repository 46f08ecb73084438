import { createHash } from "node:crypto";
import { join } from "node:path";
import { buildOnce } from "../support/go.ts";
import { buildWithCaches } from "./kubernetes_programs.ts";

const SOURCE = new URL("multus", import.meta.url).pathname;
const MODULE = "gopkg.in/k8snetworkplumbingwg/multus-cni.v4";

/** Multus' thick plugin. */
export interface MultusPrograms {
  readonly daemon: string;
  /** What the runtime calls: it passes the call on to the daemon. */
  readonly shim: string;
}

/**
 * Builds Multus' thick plugin from its Go module into the cache, once. To be called after Kubernetes is
 * built, with which it has most packages in common, and where the network can be reached.
 */
export async function fetchMultus(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<MultusPrograms | { readonly missing: string }> {
  const hash = createHash("sha256").update(await Deno.readFile(join(SOURCE, "go.mod")));
  const name = `multus_${Deno.build.arch}_${hash.digest("hex").slice(0, 12)}`;
  const found = await buildOnce(name, {
    what: "Multus",
    build: (folder) =>
      buildWithCaches({
        cwd: SOURCE,
        args: [
          ...["-ldflags", "-s -w", "-o", `${folder}/`],
          ...["multus-daemon", "multus-shim"].map((program) => `${MODULE}/cmd/${program}`),
        ],
      }),
    progress,
  });
  if ("missing" in found) return found;
  return { daemon: join(found.path, "multus-daemon"), shim: join(found.path, "multus-shim") };
}
