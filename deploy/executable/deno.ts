import { join } from "node:path";

/** The folder of the project. */
export const ROOT = join(import.meta.dirname!, "../..");

/** Runs Deno itself in the project's folder. */
export async function deno(
  ...args: readonly string[]
): Promise<{ readonly success: boolean; readonly stdout: string; readonly stderr: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  return { success, stdout: out!, stderr: err! };
}
