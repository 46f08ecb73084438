import { join } from "node:path";
import { errorMessage } from "../../mod/async/error_message.ts";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";

const PROGRAM = "usr/bin/promtool";

/** Prometheus' checker of rules, from Debian's package; what else is in the package is not kept. */
export async function fetchPromtool(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<{ readonly path: string } | { readonly missing: string }> {
  try {
    const options = { cache: cacheFolder(), keep: PROGRAM, progress };
    return { path: join(await fetchDebianPackage("prometheus", options), PROGRAM) };
  } catch (error) {
    return { missing: errorMessage(error) };
  }
}

/** What promtool says. @throws Error with what it finds wrong */
export async function promtool(program: string, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
  }).output();
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  if (!success) throw new Error(`promtool ${args.join(" ")}:\n${said}`);
  return said;
}
