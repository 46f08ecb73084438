import { printable } from "../async/printable.ts";

/** A column of a table: its heading, and its text for a row. */
export type Column<T> = readonly [heading: string, text: (row: T) => string | undefined];

/**
 * Rows in aligned columns below their headings, two spaces apart. Empty columns are left out. Nothing is
 * cut off, so that all text can be copied.
 */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string[] {
  const cells = columns
    .map(([heading, text]) => [heading, ...rows.map((row) => printable(text(row) ?? ""))])
    .filter(([, ...texts]) => texts.some((text) => text !== ""));
  const widths = cells.map((column) => Math.max(...column.map(({ length }) => length)));
  return [-1, ...rows.keys()].map((row) =>
    cells.map((column, i) => column[row + 1]!.padEnd(widths[i]!)).join("  ").trimEnd()
  );
}
