/** A program that fetches or builds something: a registry that never answers must not hold up who waits. */

/** How long one download may take, on a slow line too. */
export const DOWNLOAD_LIMIT_MINUTES = 10;
/** How long a large program may take to build, on two busy cores. */
export const BUILD_LIMIT_MINUTES = 40;

/**
 * Runs a program to its end and gives its output, as `Deno.Command.output()`.
 *
 * @param limitMinutes Infinity where it runs until the user ends it
 * @throws Error with the command line when it takes longer than its limit; it is killed then
 * @throws Deno.errors.NotFound when there is no such program
 */
export async function outputWithin(
  limitMinutes: number,
  program: string,
  options: Deno.CommandOptions & { readonly args: string[] },
): Promise<Deno.CommandOutput> {
  const { stdout = "piped", stderr = "piped" } = options;
  const child = new Deno.Command(program, { ...options, stdin: "null", stdout, stderr }).spawn();
  const late = Promise.withResolvers<never>();
  const kill = () => {
    child.kill("SIGKILL");
    const command = [program, ...options.args].join(" ").slice(0, 200);
    // What it started itself may still hold its output: this does not wait for that.
    late.reject(new Error(`${command} did not end within ${limitMinutes} minutes; try again`));
  };
  const timer = limitMinutes === Infinity ? undefined : setTimeout(kill, limitMinutes * 60_000);
  try {
    return await Promise.race([collected(child, { stdout, stderr }), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function collected(
  child: Deno.ChildProcess,
  { stdout, stderr }: Pick<Deno.CommandOptions, "stdout" | "stderr">,
): Promise<Deno.CommandOutput> {
  const bytes = async (stream: () => ReadableStream<Uint8Array<ArrayBuffer>>, piped: boolean) =>
    piped ? await new Response(stream()).bytes() : new Uint8Array();
  const [out, err, status] = await Promise.all([
    bytes(() => child.stdout, stdout === "piped"),
    bytes(() => child.stderr, stderr === "piped"),
    child.status,
  ]);
  return { ...status, stdout: out, stderr: err };
}
