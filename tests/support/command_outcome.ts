import { runCommandLine } from "../../mod/cmd/command_line.ts";

const MAIN = new URL("../../main.ts", import.meta.url).href;

/** How a command ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a command line prints and its exit code, run in this process. */
export async function outcome(...argv: string[]): Promise<Outcome> {
  const { log, error } = console;
  const printed = { stdout: "", stderr: "" };
  console.log = (line: string) => printed.stdout += `${line}\n`;
  console.error = (line: string) => printed.stderr += `${line}\n`;
  try {
    return { code: await runCommandLine(argv, MAIN), ...printed };
  } finally {
    Object.assign(console, { log, error });
  }
}
