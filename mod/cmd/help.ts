import { choicesOf, type Command, flagsOf } from "./command.ts";
import { COMMANDS, TITLE } from "./commands.ts";
import type { Flag } from "./flag.ts";
import { VERSION } from "./version.ts";
import { wrapped } from "./wrapped.ts";

/** No line of the help is longer. */
const WIDTH = 80;
/** If a flag is longer, its description is below it. */
const LEFT_WIDTH = 30;

/** What `network-dra help` prints. */
export function help(): string {
  return [
    `network-dra ${VERSION}: ${TITLE}`,
    section("Usage", ["  network-dra COMMAND [FLAGS]"]),
    section("Commands", columns(COMMANDS.map(({ name, summary }) => [`  ${name}`, summary]))),
    section(
      "Flags",
      columns([
        ["  -h, --help", "Print this help."],
        ["      --version", "Print the version."],
      ]),
    ),
    "Run 'network-dra help COMMAND' for the flags of a command, and for examples.",
  ].join("\n\n");
}

/** What `network-dra help COMMAND` prints. */
export function commandHelp(command: Command): string {
  const { description, argument, examples, exitCodes } = command;
  return [
    ...description.map((paragraph) => wrapped(paragraph, WIDTH).join("\n")),
    section("Usage", [`  ${usageOf(command)}`]),
    ...argument
      ? [section("Arguments", columns([[`  ${argumentOf(command)}`, withChoices(argument)]]))]
      : [],
    section("Examples", examples.map(({ what, line }) => `  # ${what}\n  ${line}`).join("\n\n")),
    section("Flags", columns(flagsOf(command).map((flag) => [leftOf(flag), rightOf(flag)]))),
    section(
      "Exit codes",
      columns(Object.entries(exitCodes).map(([exitCode, what]) => [`  ${exitCode}`, what])),
    ),
  ].join("\n\n");
}

/** `network-dra try FILE… [FLAGS]` */
export function usageOf(command: Command): string {
  const flags = Object.keys(command.flags).length > 0 ? "[FLAGS]" : "";
  return ["network-dra", command.name, argumentOf(command), flags].filter(Boolean).join(" ");
}

/** `FILE…`, `[COMMAND]`, or nothing. */
export function argumentOf({ argument }: Command): string {
  if (!argument) return "";
  const name = `${argument.name}${argument.most === "any" ? "…" : ""}`;
  return argument.least === 0 ? `[${name}]` : name;
}

/** What an argument or a flag does, and its possible values. */
export function withChoices(
  { help, choices = [] }: { readonly help: string; readonly choices?: readonly string[] },
): string {
  return choices.length === 0 ? help : `${help} One of ${choices.join(", ")}.`;
}

/** `  -o, --output FORMAT` */
function leftOf({ name, short, takes }: Flag<unknown>): string {
  const letter = short === undefined ? "    " : `-${short}, `;
  return `  ${letter}--${name}${takes === undefined ? "" : ` ${takes}`}`;
}

function rightOf(flag: Flag<unknown>): string {
  const { help, aliases = [], required, takes, env } = flag;
  const notes = [
    ...aliases.map((alias) => `also --${alias}`),
    ...required ? ["required"] : [],
    ...defaultOf(flag) === undefined ? [] : [`default: ${defaultOf(flag)}`],
    ...env === undefined ? [] : [`env: ${env}${takes === undefined ? "=true" : ""}`],
  ];
  const text = withChoices({ help, choices: choicesOf(flag) });
  return [text, ...notes.map((note) => `[${note.replaceAll(" ", "\u00a0")}]`)].join(" ");
}

/** What applies without the flag, in words; undefined if nothing does. */
export function defaultOf(
  { takes, default: text, defaultIs }: Flag<unknown>,
): string | undefined {
  if (defaultIs !== undefined) return defaultIs;
  return takes === undefined || text === "" ? undefined : text;
}

function section(title: string, lines: string | readonly string[]): string {
  return [`${title}:`, ...[lines].flat()].join("\n");
}

/** Two columns; the right one is below the left one if that is wide. */
function columns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const widest = Math.max(...rows.map(([left]) => left.length));
  if (widest > LEFT_WIDTH) {
    const indent = " ".repeat(10);
    return rows.flatMap(([left, right]) => [
      left,
      ...wrapped(right, WIDTH - indent.length).map((line) => indent + line),
    ]);
  }
  return rows.flatMap(([left, right]) =>
    wrapped(right, WIDTH - widest - 2).map((line, i) =>
      (i === 0 ? left : "").padEnd(widest + 2) + line
    )
  );
}
