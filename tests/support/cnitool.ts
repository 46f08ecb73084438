import { join } from "node:path";
import { buildOnce, go } from "./go.ts";

/** libcni's own command line program, by which the tests judge this project's CNI runner. */
const MODULE = "github.com/containernetworking/cni/cnitool";
const VERSION = "v1.3.1";

export type Cnitool = { readonly path: string } | { readonly missing: string };

/**
 * Builds cnitool into the cache, once. To be called first where the network can be reached.
 * Without Go, or without its modules, it tells why.
 */
export async function fetchCnitool(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<Cnitool> {
  return await buildOnce(`cnitool_${VERSION}_${Deno.build.arch}`, {
    what: `${MODULE}@${VERSION}`,
    build: async (program, work) => {
      const args = ["install", "-modcacherw", `${MODULE}@${VERSION}`];
      const problem = await go(args, { cwd: work, work, env: { GOBIN: work } });
      if (problem === undefined) await Deno.rename(join(work, "cnitool"), program);
      return problem;
    },
    progress,
  });
}
