/** Plays runs in a separate thread. */
import { Chance } from "./chance.ts";
import { leaveOut, type Plan, planRun } from "./plan.ts";
import { type Outcome, play } from "./play.ts";
import { shrink } from "./shrink.ts";

/** What a thread is asked for: the runs from `first` on; or one that failed, as short as it can be. */
export type Task =
  | {
    readonly kind: "play";
    readonly seed: number;
    readonly first: number;
    readonly count: number;
    readonly without: readonly string[];
  }
  | { readonly kind: "shrink"; readonly runSeed: number; readonly without: readonly string[] };

export type Answer =
  | { readonly kind: "played"; readonly first: number; readonly outcomes: readonly Outcome[] }
  | {
    readonly kind: "shrunk";
    readonly plan: Plan;
    readonly outcome: Outcome;
    readonly trace: string;
  }
  | { readonly kind: "failed"; readonly error: string };

/** The seed of a run. */
export function seedOf(seed: number, run: number): number {
  return new Chance(seed).fork(`run ${run}`);
}

function answer(task: Task): Answer {
  if (task.kind === "shrink") {
    const plan = shrink(leaveOut(planRun(task.runSeed), task.without));
    const lines: string[] = [];
    const outcome = play(plan, (line) => lines.push(line));
    return { kind: "shrunk", plan, outcome, trace: lines.join("") };
  }
  const { seed, first, count, without } = task;
  const outcomes = Array.from(
    { length: count },
    (_, i) => play(leaveOut(planRun(seedOf(seed, first + i)), without)),
  );
  return { kind: "played", first, outcomes };
}

// deno-lint-ignore no-explicit-any
const scope = self as any;
if (typeof scope.WorkerGlobalScope === "function") {
  // Errors are made and caught by the thousand, and nobody reads where.
  Error.stackTraceLimit = 0;
  const rejected: string[] = [];
  scope.addEventListener("unhandledrejection", (event: PromiseRejectionEvent) => {
    event.preventDefault();
    rejected.push(`nobody handles the rejection ${event.reason?.stack ?? event.reason}`);
  });
  scope.onmessage = ({ data }: MessageEvent<Task>) => {
    // Time is driven from outside of any microtask.
    setTimeout(() => {
      let found: Answer;
      try {
        found = answer(data);
      } catch (error) {
        found = { kind: "failed", error: (error as Error).stack ?? String(error) };
      }
      // What was rejected is known in the next turn.
      setTimeout(() => {
        const [error] = rejected;
        scope.postMessage(error === undefined ? found : { kind: "failed", error });
      }, 0);
    }, 0);
  };
}
