import { join } from "node:path";
import { deno, ROOT } from "./deno.ts";

/** The agent in one file of JavaScript. */
export const BUNDLE = join(ROOT, "dist/network-dra.js");

export async function bundle(): Promise<void> {
  await Deno.mkdir(join(ROOT, "dist"), { recursive: true });
  const { success, stderr } = await deno(
    ...["bundle", "--quiet", "--platform=deno", "--minify", "--output", BUNDLE, "main.ts"],
  );
  if (!success) throw new Error(`deno bundle failed: ${stderr}`);
}
