import type { Check } from "./verdicts.ts";

const HEADER = ["CHECK", "FROM", "TO", "RESULT", "FIGURE"] as const;

/** The checks as a table; below each that failed, what to do. */
export function checkTable(checks: readonly Check[]): string {
  const rows = checks.map((check) =>
    [check.what, check.from, check.to, check.result, check.figure] as const
  );
  const widths = HEADER.map((_, column) =>
    Math.max(...[HEADER, ...rows].map((row) => row[column]!.length))
  );
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd();
  return [
    line(HEADER),
    ...checks.flatMap((check, i) => [
      line(rows[i]!),
      ...check.result === "failed" ? [`    what to do: ${check.whatToDo}`] : [],
    ]),
  ].join("\n");
}

/** How many checks came out how. */
export function checkCounts(checks: readonly Check[]): string {
  const count = (result: Check["result"]) =>
    checks.filter((check) => check.result === result).length;
  const skipped = count("skipped");
  return `${count("ok")} ok, ${count("failed")} failed` +
    (skipped > 0 ? `, ${skipped} skipped` : "");
}
