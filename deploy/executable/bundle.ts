import { join } from "node:path";
import { deno, ROOT } from "./deno.ts";
import { embedPage } from "./page.ts";
import { bundlerPath, checkPin } from "./pins.ts";
import { targetOf } from "./targets.ts";

/** The agent in one file of JavaScript. */
export const BUNDLE = join(ROOT, "dist/network-dra.js");

/**
 * What the Kubernetes client imports to send requests, which mod/kube sends by `fetch`: a library for
 * HTTP, and a model of every kind. With them the bundle would be half as large again, and the agent
 * would take 10 MB more of memory.
 */
export const LEFT_OUT = ["undici", "./gen/index.js"] as const;

/** The arguments of `deno bundle` for the program. */
export function bundleArguments(output: string): string[] {
  const external = LEFT_OUT.flatMap((name) => ["--external", name]);
  return ["bundle", "--quiet", "--platform=deno", ...external, "--output", output, "main.ts"];
}

export async function bundle(
  { progress }: { readonly progress: (line: string) => void },
): Promise<void> {
  await Deno.mkdir(join(ROOT, "dist"), { recursive: true });
  const { success, stderr } = await deno(...bundleArguments(BUNDLE), "--minify");
  if (!success) throw new Error(`deno bundle failed: ${stderr}`);
  await Deno.writeTextFile(BUNDLE, withoutImports(await Deno.readTextFile(BUNDLE)));
  await embedPage(BUNDLE);
  await checkPin(await bundlerPath(), { tool: "esbuild", target: targetOf(undefined), progress });
}

/**
 * The bundle with functions that throw in place of what it imports from what is left out.
 *
 * @throws Error where something is imported in another way, or not at all
 */
export function withoutImports(code: string): string {
  return LEFT_OUT.reduce((before, name) => {
    const problem = JSON.stringify(`${name} is not in this program`);
    const pattern = new RegExp(`import\\{([^{}]+)\\}from"${RegExp.escape(name)}"`, "g");
    const after = before.replaceAll(
      pattern,
      (_, imported: string) =>
        imported.split(",").map((each) =>
          `function ${each.split(" as ").at(-1)!.trim()}(){throw new Error(${problem})}`
        ).join(""),
    );
    if (after === before || after.includes(`"${name}"`)) {
      throw new Error(`the bundle does not import ${name} as deploy/executable/bundle.ts expects`);
    }
    return after;
  }, code);
}
