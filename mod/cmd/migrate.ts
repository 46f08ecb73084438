import { dirname, join } from "node:path";
import { errorMessage } from "../async/error_message.ts";
import { type Fields, object, show, text } from "../claim/field.ts";
import { kustomization, stream } from "../migrate/written.ts";
import { isComplete, jsonReport, textReport } from "../migrate/reports.ts";
import { migrate } from "../migrate/migrate.ts";
import type { Migration } from "../migrate/migration.ts";
import type { DeviceSelectors } from "../migrate/obstacles.ts";
import { compileSelector, UnsupportedSelectorError } from "../selectors/selector.ts";
import { MIGRATE } from "./commands/migrate.ts";
import { parseConfigYaml } from "./config_yaml.ts";
import { readCommandLine } from "./flag_values.ts";
import { readGivenFile } from "./given_file.ts";
import { readSources } from "./given_sources.ts";
import { readClusterSources } from "./migrate_cluster.ts";
import { CommandLineError, UsageError } from "./usage_error.ts";

/** Something is left to do for a person. */
const EXIT_INCOMPLETE = 3;

/**
 * `network-dra migrate FILE…` or `--cluster`: from Multus' objects to claims. Prints the objects, or writes them into a
 * folder, and prints a report. Gives the exit code.
 */
export async function migrateFiles(argv: readonly string[]): Promise<number> {
  const { flags, args } = readCommandLine(MIGRATE, argv, (name) => Deno.env.get(name));
  if (flags.cluster === (args.length > 0)) {
    throw new CommandLineError("either FILE or --cluster is required, and not both");
  }
  const { output, driverName: driver } = flags;
  // Refused before anything is read or written.
  if (output !== undefined) assertEmpty(output);
  const selectors = flags.selectors === undefined ? undefined : readSelectors(flags.selectors);
  const { sources, unread } = flags.cluster
    ? await readClusterSources(flags)
    : { sources: await readSources(args), unread: [] };
  const migration = migrate(sources, { driver, ...(selectors && { selectors }) });
  const report = (flags.report === "json" ? jsonReport : textReport)(migration);
  if (output === undefined) {
    const objects = stream(migration);
    if (objects !== "") console.log(objects.trimEnd());
    console.error(report);
  } else {
    writeFolder(output, migration);
    console.log(report);
  }
  for (const sentence of unread) console.error(`network-dra migrate: left out: ${sentence}`);
  return isComplete(migration) && unread.length === 0 ? 0 : EXIT_INCOMPLETE;
}

/** @throws UsageError for a path that is in use */
function assertEmpty(folder: string): void {
  let names: string[];
  try {
    names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    const isFile = error instanceof Deno.errors.NotADirectory;
    throw new UsageError(`--output ${folder}: ${isFile ? "not a folder" : errorMessage(error)}`);
  }
  if (names.length === 0) return;
  throw new UsageError(
    `--output ${folder}: the folder is not empty (it holds ${
      names[0]
    }): name another; nothing was written`,
  );
}

function writeFolder(folder: string, migration: Migration): void {
  for (const [path, text] of kustomization(migration)) {
    const file = join(folder, path);
    Deno.mkdirSync(dirname(file), { recursive: true });
    // Never over a file that has come since.
    Deno.writeTextFileSync(file, text, { createNew: true });
  }
}

/** @throws UsageError that names the file and the resource */
function readSelectors(file: string): DeviceSelectors {
  const given = readGivenFile(file, { at: "--selectors" });
  try {
    const fields: Fields = object(parseConfigYaml(given), "the file");
    return new Map(
      Object.entries(fields).map(([resource, value]) => {
        const expression = text(value, resource);
        assertCompiles(resource, expression);
        return [resource, expression];
      }),
    );
  } catch (error) {
    throw new UsageError(`--selectors ${file}: ${errorMessage(error)}`);
  }
}

function assertCompiles(resource: string, expression: string): void {
  try {
    compileSelector(expression);
  } catch (error) {
    // Kubernetes may have a function that is not evaluated here.
    if (error instanceof UnsupportedSelectorError) return;
    throw new Error(`${resource}: ${show(expression)} does not compile: ${errorMessage(error)}`);
  }
}
