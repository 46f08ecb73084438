import { createHash } from "node:crypto";
import { join } from "node:path";
import { buildOnce } from "../support/go.ts";
import { buildWithCaches } from "./kubernetes_programs.ts";

const SOURCE = new URL("whereabouts", import.meta.url).pathname;
const PACKAGE = "github.com/k8snetworkplumbingwg/whereabouts/cmd";

/**
 * Builds the IPAM plugin whereabouts from its Go module into the cache, once. To be called where the
 * network can be reached.
 */
export async function fetchWhereabouts(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<{ readonly path: string } | { readonly missing: string }> {
  const hash = createHash("sha256").update(await Deno.readFile(join(SOURCE, "go.mod")));
  const name = `whereabouts_${Deno.build.arch}_${hash.digest("hex").slice(0, 12)}`;
  return await buildOnce(name, {
    what: "whereabouts",
    build: (program) =>
      buildWithCaches({ cwd: SOURCE, args: ["-ldflags", "-s -w", "-o", program, PACKAGE] }),
    progress,
  });
}
