import { createHash } from "node:crypto";
import type { Plan } from "./plan.ts";
import type { Outcome } from "./play.ts";
import type { Answer, Task } from "./worker.ts";

/** Runs that a thread plays before it says what came of them. */
const SLICE = 10;
/** So many failures are made short and shown. */
const SHOWS = 3;

/** A thread takes seconds for a slice; a busy machine minutes. */
const PATIENCE_MS = 600_000;

export interface SimulateOptions {
  readonly seed: number;
  /** Operations at least. */
  readonly ops: number;
  /** Threads. */
  readonly workers: number;
  readonly write: (line: string) => void;
  /** What is left out of the plans. */
  readonly without?: readonly string[];
  /** Whether the first failure is enough, and needs not be made short. */
  readonly stopsAtFirst?: boolean;
  /** So many failures are made short and shown; 3 unless told. */
  readonly shows?: number;
  /** Seeds of runs whose failures do not count. */
  readonly known?: ReadonlySet<number>;
  /** The simulation's folder, where it is another: with the agent beside it that it plays with. */
  readonly folder?: URL;
}

export interface Summary {
  readonly runs: number;
  readonly operations: number;
  readonly steps: number;
  /** Of all runs, in their order. */
  readonly digest: string;
  readonly failures: readonly Outcome[];
}

/** Plays runs until there were as many operations; what comes of it depends on the seed alone. */
export async function simulate(options: SimulateOptions): Promise<Summary> {
  const { seed, ops, write, stopsAtFirst = false, without = [], known = new Set() } = options;
  const code = new URL("./worker.ts", options.folder ?? import.meta.url);
  const threads = Array.from({ length: options.workers }, () => new Thread(code));
  try {
    const played: Outcome[] = [];
    const waiting = new Map<number, readonly Outcome[]>();
    let [next, operations, isOver] = [0, 0, false];
    const take = () => {
      for (let outcomes; !isOver && (outcomes = waiting.get(played.length));) {
        for (const outcome of outcomes) {
          played.push(outcome);
          operations += outcome.operations;
          const fails = outcome.violations.length > 0 && !known.has(outcome.seed);
          isOver = operations >= ops || stopsAtFirst && fails;
          if (fails) write(described(outcome));
          if (isOver) return;
        }
      }
    };
    await Promise.all(threads.map(async (thread) => {
      while (!isOver) {
        const first = next;
        next += SLICE;
        const answer = await thread.ask({ kind: "play", seed, first, count: SLICE, without });
        if (answer.kind === "played") waiting.set(first, answer.outcomes);
        take();
      }
    }));
    const failures = played.filter(({ violations, seed }) =>
      violations.length > 0 && !known.has(seed)
    );
    if (!stopsAtFirst) {
      await show(failures, { thread: threads[0]!, write, without, most: options.shows ?? SHOWS });
    }
    const hash = createHash("sha256");
    for (const { digest } of played) hash.update(digest);
    return {
      runs: played.length,
      operations,
      steps: played.reduce((sum, { steps }) => sum + steps, 0),
      digest: hash.digest("hex"),
      failures,
    };
  } finally {
    for (const thread of threads) thread.end();
  }
}

/** Plays the run of this number that {@link simulate} plays. */
export async function playRun(seed: number, run: number): Promise<Outcome> {
  const thread = new Thread(new URL("./worker.ts", import.meta.url));
  try {
    const task = { kind: "play", seed, first: run, count: 1, without: [] } as const;
    const answer = await thread.ask(task);
    if (answer.kind !== "played") throw new Error(`no run was played but ${answer.kind}`);
    return answer.outcomes[0]!;
  } finally {
    thread.end();
  }
}

/** One failure of each invariant, with the shortest schedule that still fails. */
async function show(
  failures: readonly Outcome[],
  { thread, write, without, most }: {
    readonly most: number;
    readonly thread: Thread;
    readonly write: (line: string) => void;
    readonly without: readonly string[];
  },
): Promise<void> {
  const kinds = new Map(
    failures.toReversed().map((each) => [each.violations[0]!.invariant, each]),
  );
  for (const { seed } of [...kinds.values()].slice(0, most)) {
    const answer = await thread.ask({ kind: "shrink", runSeed: seed, without });
    if (answer.kind !== "shrunk") continue;
    write(`\nthe shortest schedule found of run ${seed} (--run ${seed} --shrink shows it again):`);
    write(shownPlan(answer.plan));
    write(answer.trace);
  }
}

function described({ seed, violations }: Outcome): string {
  const lines = violations.map(({ invariant, what, at }) => `${invariant}: ${what} at ${at} s`);
  return `run ${seed}: ${lines.slice(0, 3).join("\n  ")}`;
}

export function shownPlan({ stimuli, claims, ...more }: Plan): string {
  return [more, ...claims, ...stimuli].map((each) => `  ${JSON.stringify(each)}`).join("\n");
}

class Thread {
  readonly #worker: Worker;

  constructor(code: URL) {
    this.#worker = new Worker(code, { type: "module" });
  }

  /** @throws Error when the simulation itself fails */
  ask(task: Task): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }: MessageEvent<Answer>) =>
        data.kind === "failed" ? reject(new Error(data.error)) : resolve(data);
      this.#worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      // One that goes round and round without time passing has no end.
      const timer = setTimeout(() => {
        reject(new Error(`no answer within ${PATIENCE_MS / 1000} s to ${JSON.stringify(task)}`));
      }, PATIENCE_MS);
      const { onmessage } = this.#worker;
      this.#worker.onmessage = (event) => {
        clearTimeout(timer);
        onmessage!.call(this.#worker, event);
      };
      this.#worker.postMessage(task);
    });
  }

  end(): void {
    this.#worker.terminate();
  }
}
