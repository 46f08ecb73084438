import { join } from "node:path";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";

/** Brings Debian's kubectl into the cache, once, and gives its path. */
export async function fetchKubectl(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<string> {
  const files = await fetchDebianPackage("kubectl", {
    suite: "forky",
    cache: cacheFolder(),
    progress,
  });
  return join(files, "usr/bin/kubectl");
}
