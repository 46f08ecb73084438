import { stringify } from "yaml";
import { didYouMean } from "../claim/did_you_mean.ts";
import { show } from "../claim/field.ts";
import { systemClock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { changesBetween } from "../status/changes.ts";
import { filtered } from "../status/filter.ts";
import { problemsOf } from "../status/problems.ts";
import { sorted } from "../status/sorted.ts";
import { STATUS } from "./commands/status.ts";
import { readCommandLine } from "./flag_values.ts";
import { assertFolder } from "./given_file.ts";
import { onSignals } from "./signals.ts";
import { type StatusReport, textOf } from "./status_report.ts";
import { lookAtNode, type StatusPlaces } from "./status_sources.ts";
import { UsageError } from "./usage_error.ts";

const SOMETHING_WRONG = 3;
const NO_ANSWER = 4;
/** Time between two updates of `--watch`, in milliseconds. */
const WATCH_INTERVAL = 2_000;
/** Characters in a line if the terminal does not report a width, and the least that is used. */
const [WIDTH, LEAST_WIDTH] = [100, 80];
/** Moves the terminal's cursor to the top and clears what is below. */
const REDRAW = "\u001b[H\u001b[2J\u001b[3J";

type Format = "text" | "wide" | "json" | "yaml";

/** The output, and its exit code. */
interface Shown {
  readonly report: StatusReport;
  readonly code: 0 | typeof SOMETHING_WRONG | typeof NO_ANSWER;
}

/** `network-dra status`: what is attached on this node. Gives the exit code. */
export async function status(argv: readonly string[]): Promise<number> {
  const { flags, args: [word] } = readCommandLine(STATUS, argv, (name) => Deno.env.get(name));
  if (word !== undefined) assertName(word);
  assertFolder(flags.stateDir, { at: "--state-dir" });
  const look = () => lookAt(flags, word);
  return flags.watch ? await watch(look, flags.output) : print(await look(), flags.output);
}

async function lookAt(places: StatusPlaces, word: string | undefined): Promise<Shown> {
  const { document, problems, answered } = await lookAtNode(places).catch((error) => {
    const isDenied = error instanceof Deno.errors.PermissionDenied;
    throw isDenied ? new Error(`${errorMessage(error)}: run it as root`) : error;
  });
  const found = word === undefined
    ? { kind: "found", document } as const
    : filtered(document, word);
  if (found.kind === "several") {
    const names = found.names.map((name) => `\n  ${name}`).join("");
    throw new Error(`several have the name ${show(word)}; give the namespace too:${names}`);
  }
  if (found.kind === "none") {
    const meant = found.meant === undefined ? "" : didYouMean(word!, [found.meant]);
    const who = document.source === "agent" ? "this node's agent" : "the records";
    const why = document.source === "agent" ? [] : problems.map(({ message }) => `\n${message}`);
    throw new Error(
      `no pod, claim or interface ${show(word)} is known to ${who}${meant}${why.join("")}`,
    );
  }
  const shown = sorted(found.document);
  const all = [...problems, ...problemsOf(shown)];
  const code = !answered ? NO_ANSWER : all.length > 0 ? SOMETHING_WRONG : 0;
  return { report: { ...shown, problems: all }, code };
}

function print({ report, code }: Shown, format: Format): number {
  console.log(formatted(report, format));
  return code;
}

function formatted(report: StatusReport, format: Format): string {
  switch (format) {
    case "json":
      return JSON.stringify(report, null, 2);
    case "yaml":
      return stringify(report, { aliasDuplicateObjects: false }).trimEnd();
    default:
      return textOf(report, { wide: format === "wide", width: lineWidth() });
  }
}

/** Runs until SIGINT or SIGTERM; gives the exit code of the last status. */
async function watch(look: () => Promise<Shown>, format: Format): Promise<number> {
  const end = new AbortController();
  const release = onSignals(() => end.abort());
  const isText = format === "text" || format === "wide";
  const redraws = isText && Deno.stdout.isTerminal();
  let last: Shown | undefined;
  try {
    while (!end.signal.aborted) {
      const shown = await look();
      if (redraws) console.log(`${REDRAW}${formatted(shown.report, format)}`);
      else if (!last) printWhole(shown.report, format);
      else printChanges({ before: last.report, after: shown.report }, format);
      last = shown;
      await systemClock.sleep(WATCH_INTERVAL, end.signal).catch(() => {});
    }
  } finally {
    release();
  }
  return last?.code ?? 0;
}

function printWhole(report: StatusReport, format: Format): void {
  if (format === "yaml") console.log("---");
  // One line per document, so that a program can read one after another.
  console.log(format === "json" ? JSON.stringify(report) : formatted(report, format));
}

function printChanges(
  { before, after }: { readonly before: StatusReport; readonly after: StatusReport },
  format: Format,
): void {
  const changes = changesBetween(before, after);
  if (format !== "json" && format !== "yaml") {
    for (const change of changes) console.log(`${after.at} ${change}`);
  } else if (changes.length > 0) printWhole(after, format);
}

function lineWidth(): number {
  try {
    return Math.max(LEAST_WIDTH, Deno.consoleSize().columns);
  } catch {
    return WIDTH;
  }
}

/** @throws UsageError for text that cannot be a name of any of them */
function assertName(word: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._:@-]{0,252}(\/[a-z0-9][a-z0-9.-]{0,252})?$/.test(word)) return;
  throw new UsageError(
    `${STATUS.argument.name}: ${
      show(word)
    } is not valid; must be the name of a pod or claim, such as ` +
      "web or default/web, its UID, or the name of an interface",
  );
}
