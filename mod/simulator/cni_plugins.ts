import { join } from "node:path";
import { cacheFolder, fetchDebianPackage } from "./debian_package.ts";
import { errorMessage } from "../async/error_message.ts";

/** Where the CNI plugins are on most machines. */
const USUAL_FOLDERS = ["/opt/cni/bin", "/usr/lib/cni"];

/** The suite that has the plugins' current release. */
const SUITE = "forky";

/**
 * Folders of CNI plugins for a simulated node: this machine's own, or else those of Debian's package
 * in the cache.
 */
export async function findCniPlugins(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<readonly string[]> {
  for (const folder of USUAL_FOLDERS) {
    if (await Deno.stat(join(folder, "macvlan")).then(() => true, () => false)) return [folder];
  }
  return await fetchCniPlugins({ progress });
}

/** The folder of the CNI plugins of Debian's package. */
export async function fetchCniPlugins(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<readonly string[]> {
  try {
    const files = await fetchDebianPackage("containernetworking-plugins", {
      suite: SUITE,
      cache: cacheFolder(),
      progress,
    });
    return [join(files, "usr/lib/cni")];
  } catch (error) {
    const why = errorMessage(error);
    throw new Error(
      `there are no CNI plugins in ${USUAL_FOLDERS.join(" or ")}, and Debian's package cannot be ` +
        `downloaded (${why}): install CNI plugins, and set --cni-path if they are elsewhere`,
      { cause: error },
    );
  }
}
