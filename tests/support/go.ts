import { join } from "node:path";
import { cacheFolder } from "../../mod/simulator/debian_package.ts";

/**
 * Runs the machine's Go with modules and caches of its own below a folder, so that nothing of the
 * user's is touched. Gives the last line of what Go said when it cannot do it.
 */
export async function go(
  args: readonly string[],
  { cwd, work, env }: {
    readonly cwd: string;
    readonly work: string;
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<string | undefined> {
  try {
    const { success, stderr } = await new Deno.Command("go", {
      args: [...args],
      cwd,
      env: {
        GOPATH: join(work, "path"),
        GOMODCACHE: join(work, "modules"),
        GOCACHE: join(work, "cache"),
        GOTOOLCHAIN: "local",
        // There is memory enough for a compiler that collects its garbage less often.
        GOGC: "400",
        ...env,
      },
      stdin: "null",
    }).output();
    return success ? undefined : new TextDecoder().decode(stderr).trim().split("\n").at(-1);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "there is no Go";
    throw error;
  }
}

/**
 * Builds a program into the cache, once. To be called first where the network can be reached. Where
 * it cannot be built it tells why.
 *
 * @param name of the file; what it is built from is part of it
 * @param what it is, in words
 * @param build writes the program, and gives what Go said when it cannot; `work` is a folder of its own
 */
export async function buildOnce(
  name: string,
  { what, build, progress }: {
    readonly what: string;
    readonly build: (program: string, work: string) => Promise<string | undefined>;
    readonly progress?: (line: string) => void;
  },
): Promise<{ readonly path: string } | { readonly missing: string }> {
  const folder = join(cacheFolder(), "go");
  const path = join(folder, name);
  if (await Deno.stat(path).then(() => true, () => false)) return { path };
  await Deno.mkdir(folder, { recursive: true });
  const work = await Deno.makeTempDir({ dir: folder, prefix: ".building-" });
  progress?.(`building ${what}; once, into ${folder}`);
  try {
    const program = join(work, name);
    const problem = await build(program, work);
    if (problem !== undefined) return { missing: `${what} cannot be built: ${problem}` };
    // Whole or not at all, should another process build it too.
    await Deno.rename(program, path);
    return { path };
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}
