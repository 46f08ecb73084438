import { join } from "node:path";
import { cacheFolder } from "../../mod/simulator/debian_package.ts";
import { go } from "./go.ts";

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
  const folder = join(cacheFolder(), "go");
  const path = join(folder, `cnitool_${VERSION}_${Deno.build.arch}`);
  if (await exists(path)) return { path };
  await Deno.mkdir(folder, { recursive: true });
  const work = await Deno.makeTempDir({ dir: folder, prefix: ".building-" });
  progress?.(`building ${MODULE}@${VERSION}; once, into ${folder}`);
  try {
    const problem = await go(["install", "-modcacherw", `${MODULE}@${VERSION}`], {
      cwd: work,
      work,
      env: { GOBIN: work },
    });
    if (problem !== undefined) return { missing: `cnitool cannot be built: ${problem}` };
    // Whole or not at all, should another process build it too.
    await Deno.rename(join(work, "cnitool"), path);
    return { path };
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
