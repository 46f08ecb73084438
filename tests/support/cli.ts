import { join } from "node:path";

const ROOT = new URL("../..", import.meta.url).pathname;

export interface CliOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs network-dra as a user does, from the project's folder, outside of any private node's mark. */
export async function cli(
  args: readonly string[],
  { env = {}, interrupt, input }: {
    readonly env?: Readonly<Record<string, string>>;
    /** Sends SIGTERM once this was printed on stderr. */
    readonly interrupt?: string;
    /** What its standard input holds. */
    readonly input?: string;
  } = {},
): Promise<CliOutcome> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", "--no-check", join(ROOT, "main.ts"), ...args],
    cwd: ROOT,
    env: { ...env, NETWORK_DRA_PRIVATE_NODE: "", NO_COLOR: "1" },
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (input !== undefined) await new Blob([input]).stream().pipeTo(child.stdin);
  const stdout = new Response(child.stdout).text();
  let stderr = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    const before = stderr;
    stderr += text;
    const said = interrupt !== undefined && stderr.includes(interrupt);
    if (said && !before.includes(interrupt)) child.kill("SIGTERM");
  }
  const { code } = await child.status;
  return { code, stdout: await stdout, stderr };
}
