import { type Invariant, INVARIANTS, type Record } from "./record.ts";
import { CRASH_POINTS } from "./schedule.ts";

/** What a run came to; the last line is `violations: N`. */
export function summary(record: Record, seed: number): string {
  const never = CRASH_POINTS.filter((point) => !record.crashPoints.has(point));
  return [
    "",
    `seed: ${seed}`,
    `operations: ${record.operations} (${record.calls} calls) in ${record.round} rounds`,
    `faults: ${record.faultCount}`,
    ...sorted(record.faults),
    "the agent died where it was told to:",
    ...sorted(record.crashPoints),
    ...(never.length > 0 ? [`  never: ${never.join(", ")}`] : []),
    "invariants checked:",
    ...(Object.entries(INVARIANTS) as [Invariant, string][]).map(([key, text]) => {
      const violated = record.violated.get(key) ?? 0;
      return `  ${text}: ${record.checks.get(key) ?? 0} times, ${violated} violations`;
    }),
    ...(record.excused > 0
      ? [`answers that came too late while the machine was overloaded: ${record.excused}`]
      : []),
    `violations: ${record.violations}`,
  ].join("\n");
}

function sorted(counts: ReadonlyMap<string, number>): string[] {
  return [...counts].toSorted(([a], [b]) => a.localeCompare(b)).map(([key, n]) => `  ${key}: ${n}`);
}
