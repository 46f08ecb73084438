import { join } from "node:path";
import { cacheFolder } from "../../mod/simulator/debian_package.ts";

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
    const { success, stderr } = await new Deno.Command("go", {
      args: ["install", "-modcacherw", `${MODULE}@${VERSION}`],
      cwd: work,
      env: {
        GOBIN: work,
        GOPATH: join(work, "path"),
        GOMODCACHE: join(work, "modules"),
        GOCACHE: join(work, "cache"),
        GOTOOLCHAIN: "local",
      },
      stdin: "null",
    }).output();
    if (!success) {
      const said = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
      return { missing: `cnitool cannot be built: ${said}` };
    }
    // Whole or not at all, should another process build it too.
    await Deno.rename(join(work, "cnitool"), path);
    return { path };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { missing: "there is no Go" };
    throw error;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
