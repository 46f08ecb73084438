/** A table; what stands in its cells may hold `|`. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** In a code span; nothing where there is nothing. */
export function code(text: unknown): string {
  return text === undefined || text === "" ? "" : `\`${text}\``;
}

export function codes(texts: Iterable<string>): string {
  return [...texts].map(code).join(", ");
}

/** How a page says where it comes from. */
export function origin(source: string): string {
  return `<!-- Written by \`deno task docs:reference\` from ${source}; a test holds it equal. -->`;
}
