import { type Problem, RULES } from "./problem.ts";

/** For people: one line for each problem, and the totals. */
export function textReport(problems: readonly Problem[], files: number): string {
  const lines = problems.map(({ file, line, column, level, rule, object, message }) => {
    const at = [file, line, ...column === undefined ? [] : [column]].join(":");
    return `${at}: ${level}: ${object}: ${message} [${rule}]`;
  });
  const count = (level: Problem["level"]) => problems.filter((each) => each.level === level).length;
  const sum = `${plural(files, "file")}: ${plural(count("error"), "error")}, ` +
    plural(count("warning"), "warning");
  return [...lines, sum].join("\n");
}

export function jsonReport(problems: readonly Problem[]): string {
  return JSON.stringify({ problems }, null, 2);
}

/** SARIF 2.1.0, which code hosts show beside the lines. */
export function sarifReport(problems: readonly Problem[], version: string): string {
  const rules = Object.entries(RULES).map(([id, text]) => ({ id, shortDescription: { text } }));
  return JSON.stringify(
    {
      $schema: "https://json.schemastore.org/sarif-2.1.0.json",
      version: "2.1.0",
      runs: [{
        tool: { driver: { name: "network-dra lint", version, rules } },
        results: problems.map(({ level, rule, file, line, column, object, message }) => ({
          ruleId: rule,
          level,
          message: { text: `${object}: ${message}` },
          locations: [{
            physicalLocation: {
              artifactLocation: { uri: file },
              region: { startLine: line, ...(column !== undefined && { startColumn: column }) },
            },
          }],
        })),
      }],
    },
    null,
    2,
  );
}

function plural(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}
