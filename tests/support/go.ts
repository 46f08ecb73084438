import { join } from "node:path";

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
