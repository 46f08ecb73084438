import { parseArgs } from "node:util";
import { lint } from "../lint/lint.ts";
import { jsonReport, sarifReport, textReport } from "../lint/reports.ts";
import type { Source } from "../manifests/file_set.ts";
import { parseConfigYaml } from "./config_yaml.ts";
import { readPolicy } from "./policy_file.ts";
import { flagValue } from "./flag_value.ts";
import * as take from "./settings.ts";
import { UsageError } from "./usage_error.ts";
import config from "../../deno.json" with { type: "json" };

/** The name of standard input among the files. */
const STDIN = "-";

/**
 * `network-dra lint FILE…`: what API server, scheduler and agent would say of claims, classes and pods.
 * Prints a report on stdout, and gives the exit code: 1 where there are errors.
 */
export async function lintFiles(argv: readonly string[]): Promise<number> {
  const { files, output, driver, configFile } = parseLintOptions(argv);
  const sources: Source[] = [];
  for (const file of files) sources.push({ file, text: await readText(file) });
  const policy = configFile === undefined ? {} : await policyOf(configFile);
  const problems = lint(sources, { policy, ...(driver !== undefined && { driver }) });
  const report = {
    text: () => textReport(problems, files.length),
    json: () => jsonReport(problems),
    sarif: () => sarifReport(problems, config.version),
  }[output]();
  console.log(report);
  return problems.some(({ level }) => level === "error") ? 1 : 0;
}

async function readText(file: string): Promise<string> {
  try {
    if (file === STDIN) return await new Response(Deno.stdin.readable).text();
    return await Deno.readTextFile(file);
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

/** Of the agent's configuration file, the policy alone. */
async function policyOf(file: string) {
  const text = await readText(file);
  let content: unknown;
  try {
    content = parseConfigYaml(text);
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
  return readPolicy((content as { policy?: unknown } | null)?.policy, file);
}

function parseLintOptions(argv: readonly string[]) {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        "output": { type: "string", short: "o", default: "text" },
        "driver-name": { type: "string" },
        "config": { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message.split(". ")[0]!);
  }
  const { values, positionals: files } = parsed;
  if (files.length === 0) throw new UsageError("lint: name one or more YAML files, or - for stdin");
  return {
    files,
    output: flagValue("-o", values.output!, take.oneOf("text", "json", "sarif")),
    configFile: values.config,
    driver: values["driver-name"] === undefined
      ? undefined
      : flagValue("--driver-name", values["driver-name"], take.driverName),
  };
}
