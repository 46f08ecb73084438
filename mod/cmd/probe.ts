import { systemClock } from "../async/clock.ts";
import { timeLimit } from "../async/time_limit.ts";
import { runProbe } from "../probe/probe.ts";
import { PROBE } from "./commands/probe.ts";
import { readCommandLine } from "./flag_values.ts";
import { onSignals } from "./signals.ts";

/** `network-dra probe`: measures a network from inside a pod. Gives the exit code. */
export async function probe(argv: readonly string[]): Promise<number> {
  const { flags: { limit, ...options } } = readCommandLine(PROBE, argv);
  const told = new AbortController();
  // The first process of a container gets only signals that it listens to.
  const release = onSignals(() => told.abort());
  using over = timeLimit(systemClock, limit, told.signal);
  try {
    const print = (line: unknown) => console.log(JSON.stringify(line));
    await runProbe({ ...options, print }, over.signal);
    return 0;
  } finally {
    release();
  }
}
