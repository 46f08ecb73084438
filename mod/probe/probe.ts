import { aborted } from "../async/aborted.ts";
import { systemClock } from "../async/clock.ts";
import { carryOut } from "./measure.ts";
import { ProbeServer, type ProbeServerOptions } from "./probe_server.ts";
import { parseTask, type ProbeLine, type SeenInterface, type Task } from "./protocol.ts";

/** How often the task is looked for, in milliseconds. */
const LOOK_MS = 200;

export interface ProbeOptions extends ProbeServerOptions {
  /** The file in which its task comes to be; it may be there and empty before. */
  readonly task: string;
  readonly print: (line: ProbeLine) => void;
}

/**
 * Serves other probes until the signal is aborted; meanwhile waits for its task, carries it out, and
 * prints what it has measured.
 */
export async function runProbe(
  { task: file, print, ...options }: ProbeOptions,
  signal: AbortSignal,
): Promise<void> {
  await using _server = await ProbeServer.start(options);
  print({ probe: "started", interfaces: interfaces() });
  try {
    const task = await taskIn(file, signal);
    print({ probe: "measured", results: await carryOut(task, { ...options, signal }) });
    await aborted(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function taskIn(file: string, signal: AbortSignal): Promise<Task> {
  for (;;) {
    // The kubelet puts a new file in place of the old one.
    const text = await Deno.readTextFile(file).catch(() => "");
    if (text !== "") return parseTask(JSON.parse(text));
    await systemClock.sleep(LOOK_MS, signal);
  }
}

function interfaces(): SeenInterface[] {
  const found = new Map<string, string[]>();
  for (const { name, cidr } of Deno.networkInterfaces()) {
    found.set(name, [...found.get(name) ?? [], cidr]);
  }
  return [...found].map(([name, addresses]) => ({ name, addresses }));
}
