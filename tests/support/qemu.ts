import { join } from "node:path";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";

const PROGRAM = "usr/bin/qemu-aarch64-static";

/** Debian's emulator of aarch64 for one program; what else is in the package is not kept. */
export async function fetchQemu(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<{ readonly path: string } | { readonly missing: string }> {
  try {
    const options = { cache: cacheFolder(), keep: PROGRAM, progress };
    return { path: join(await fetchDebianPackage("qemu-user-static", options), PROGRAM) };
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) };
  }
}
