/** Programs that run in a private node, and end with who started them, however that goes. */
import { spawnInPrivateNode } from "../../mod/simulator/private_node.ts";
import { succeedsWithin } from "../support/test_runs.ts";

let told = false;

/** Whether this process was told to end meanwhile. */
export function interrupted(): boolean {
  return told;
}

/** Runs one in a new private node; gives whether it ended well and within its limit. */
export async function runInside(
  file: string,
  { env, print, args = [], limitMinutes = Infinity }: {
    readonly env: Readonly<Record<string, string>>;
    readonly args?: readonly string[];
    readonly print: (line: string) => void;
    readonly limitMinutes?: number;
  },
): Promise<boolean> {
  const inside = spawnInPrivateNode(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", file, ...args],
    env,
    output: "piped",
  });
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const end = () => {
    told = true;
    inside.kill("SIGKILL");
  };
  for (const signal of signals) Deno.addSignalListener(signal, end);
  const [success] = await Promise.all([
    succeedsWithin(inside, limitMinutes),
    eachLine(inside.stdout, print),
    eachLine(inside.stderr, print),
  ]);
  for (const signal of signals) Deno.removeSignalListener(signal, end);
  return success;
}

/** Inside: ends this process, and so the private node, when who started it is gone. */
export async function endWithRunner(): Promise<never> {
  const nothing = new Uint8Array(1);
  while (await Deno.stdin.read(nothing) !== null);
  Deno.exit(1);
}

async function eachLine(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  print: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line !== "") print(line);
  }
  if (rest !== "") print(rest);
}
