import { join } from "node:path";
import { deno, ROOT } from "./deno.ts";
import { embedPage } from "./page.ts";
import { bundlerPath, checkPin } from "./pins.ts";
import { targetOf } from "./targets.ts";

/** The agent in one file of JavaScript. */
export const BUNDLE = join(ROOT, "dist/network-dra.js");

/**
 * A package that the bundle is made without: the Kubernetes client brings it to send requests, which
 * mod/kube sends by `fetch`. It would be a quarter of the bundle, and 4 MB of the agent's memory.
 */
export const LEFT_OUT = "undici";

export async function bundle(
  { progress }: { readonly progress: (line: string) => void },
): Promise<void> {
  await Deno.mkdir(join(ROOT, "dist"), { recursive: true });
  const { success, stderr } = await deno(
    ...["bundle", "--quiet", "--platform=deno", "--minify", "--external", LEFT_OUT],
    ...["--output", BUNDLE, "main.ts"],
  );
  if (!success) throw new Error(`deno bundle failed: ${stderr}`);
  await Deno.writeTextFile(BUNDLE, withoutImports(await Deno.readTextFile(BUNDLE)));
  await embedPage(BUNDLE);
  await checkPin(await bundlerPath(), { tool: "esbuild", target: targetOf(undefined), progress });
}

/**
 * The bundle with functions that throw in place of what it imports from the package that is left out.
 *
 * @throws Error where it is imported in another way, or not at all
 */
export function withoutImports(code: string): string {
  const problem = JSON.stringify(`${LEFT_OUT} is not in this program`);
  const replaced = code.replaceAll(
    new RegExp(`import\\{([^{}]+)\\}from"${LEFT_OUT}"`, "g"),
    (_, names: string) =>
      names.split(",").map((each) =>
        `function ${each.split(" as ").at(-1)!.trim()}(){throw new Error(${problem})}`
      ).join(""),
  );
  if (replaced === code || replaced.includes(`"${LEFT_OUT}"`)) {
    throw new Error(
      `the bundle does not import ${LEFT_OUT} as deploy/executable/bundle.ts expects`,
    );
  }
  return replaced;
}
