/** The value below which `p` percent of the samples lie. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p / 100))]!;
}

/** How long a task takes, in milliseconds. */
export async function time(task: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await task();
  return performance.now() - began;
}

export type Side = (measure: (task: () => Promise<unknown>) => Promise<void>) => Promise<void>;

/** Runs two sides in turns, so that what else the machine does falls on both; gives the times of each. */
export async function pairwise(
  times: number,
  sides: { readonly ours: Side; readonly theirs: Side },
): Promise<{ ours: number[]; theirs: number[] }> {
  const taken = { ours: [] as number[], theirs: [] as number[] };
  for (let i = 0; i < times; i++) {
    for (const side of ["ours", "theirs"] as const) {
      await sides[side](async (task) => {
        taken[side].push(await time(task));
      });
    }
  }
  return taken;
}
