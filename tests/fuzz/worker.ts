/** Runs inputs in a separate thread, under the eyes of child.ts. */
import { Random } from "./random.ts";
import { assertPrototypes } from "./target.ts";
import type { Targets } from "./targets.ts";

export interface Order {
  /** The module that has the targets. */
  readonly module: string;
  readonly target: string;
  readonly seed: number;
  readonly first: number;
  readonly inputs: number;
  readonly folder: string;
  /** Holds the number of the input that is running; below 0 while none is. */
  readonly progress: SharedArrayBuffer;
}

export interface Found {
  readonly index: number;
  readonly problem: string;
  readonly input: string;
}

export type Report = { readonly found: Found } | { readonly done: number };

/** So many are enough to see that something is wrong. */
const MOST_FOUND = 5;
/** What a report shows of an input, in characters. */
const SHOWN = 4000;

// deno-lint-ignore no-explicit-any
const thread = self as any as {
  onmessage: (event: MessageEvent<Order>) => void;
  postMessage(report: Report): void;
};

thread.onmessage = async ({ data }) => {
  const { target: name, seed, first, inputs, folder } = data;
  const progress = new Int32Array(data.progress);
  const { TARGETS } = await import(data.module) as { readonly TARGETS: Targets };
  const target = await TARGETS[name]!.make(folder);
  let found = 0;
  let done = 0;
  for (let index = first; index < first + inputs && found < MOST_FOUND; index++, done++) {
    const random = new Random(seed, name, index);
    const input = target.seeds[index] ?? target.mutate(target.seeds, random);
    Atomics.store(progress, 0, index);
    try {
      const running = target.attempt(input, random);
      if (running) await running;
      assertPrototypes();
    } catch (error) {
      found++;
      const problem = error instanceof Error ? error.stack ?? error.message : String(error);
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.stack : "";
      const shown = target.show(input).slice(0, SHOWN);
      thread.postMessage({ found: { index, problem: `${problem}\n${cause}`, input: shown } });
    }
    // The next input takes its time to be made.
    Atomics.store(progress, 0, -1 - index);
    // Timers and streams have their turn; and the watchdog's question is answered.
    if (index % 256 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await target.close?.();
  thread.postMessage({ done });
};
