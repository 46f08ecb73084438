import { join } from "node:path";
import { deno, ROOT } from "./deno.ts";
import { embedPage } from "./page.ts";
import { bundlerPath, checkPin } from "./pins.ts";
import { targetOf } from "./targets.ts";

/** The agent in one file of JavaScript. */
export const BUNDLE = join(ROOT, "dist/network-dra.js");

export async function bundle(
  { progress }: { readonly progress: (line: string) => void },
): Promise<void> {
  await Deno.mkdir(join(ROOT, "dist"), { recursive: true });
  const { success, stderr } = await deno(
    ...["bundle", "--quiet", "--platform=deno", "--minify", "--output", BUNDLE, "main.ts"],
  );
  if (!success) throw new Error(`deno bundle failed: ${stderr}`);
  await embedPage(BUNDLE);
  await checkPin(await bundlerPath(), { tool: "esbuild", target: targetOf(undefined), progress });
}
