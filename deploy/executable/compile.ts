import { BUNDLE } from "./bundle.ts";
import { deno } from "./deno.ts";
import { flags } from "./flags.ts";
import { isOwn, type Target } from "./targets.ts";

/** Makes an executable of the bundle. Gives the reason where Deno cannot, or undefined. */
export async function compile(target: Target, output: string): Promise<string | undefined> {
  // deno compile replaces nothing that it did not make.
  await Deno.remove(output).catch(() => {});
  const to = isOwn(target) ? [] : ["--target", target.triple];
  const { success, stderr } = await deno(
    ...["compile", "--quiet", "--no-check", ...to, ...flags(), "--output", output, BUNDLE],
  );
  if (success) return undefined;
  // The causes stand indented below the error; the innermost says most.
  return stderr.split("\n").filter((line) => /^\s+\d: |^error/.test(line) && !/unknown>/.test(line))
    .at(-1)?.trim() ?? stderr;
}
