import { lint } from "../lint/lint.ts";
import { jsonReport, sarifReport, textReport } from "../lint/reports.ts";
import { EMPTY_CONFIG_FILE, readConfigFile } from "./config_file.ts";
import { LINT } from "./commands/lint.ts";
import { readCommandLine } from "./flag_values.ts";
import { readSources } from "./given_sources.ts";
import config from "../../deno.json" with { type: "json" };

/**
 * `network-dra lint FILE…`: what the API server, the scheduler and the agent would say about claims,
 * classes and pods.
 * Prints a report on stdout, and gives the exit code: 1 where there are errors.
 */
export async function lintFiles(argv: readonly string[]): Promise<number> {
  const { flags, args: files } = readCommandLine(LINT, argv);
  const sources = await readSources(files);
  const { policy } = flags.config === undefined
    ? EMPTY_CONFIG_FILE
    : readConfigFile(flags.config, { at: "--config" });
  const problems = lint(sources, {
    policy,
    ...(flags.driverName !== undefined && { driver: flags.driverName }),
  });
  const report = {
    text: () => textReport(problems, sources.length),
    json: () => jsonReport(problems),
    sarif: () => sarifReport(problems, config.version),
  }[flags.output]();
  console.log(report);
  return problems.some(({ level }) => level === "error") ? 1 : 0;
}
