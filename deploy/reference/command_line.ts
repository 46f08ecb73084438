import { choicesOf, type Command } from "../../mod/cmd/command.ts";
import { COMMANDS } from "../../mod/cmd/commands.ts";
import type { Flag } from "../../mod/cmd/flag.ts";
import { argumentOf, defaultOf, usageOf, withChoices } from "../../mod/cmd/help.ts";
import { code, codes, origin, table } from "./markdown.ts";

/** docs/reference/command-line.md */
export function commandLineReference(): string {
  const commands = COMMANDS.map((
    { name, summary },
  ) => [`[${code(name)}](#${anchor(name)})`, summary]);
  return `# The command line

${origin("mod/cmd/commands.ts")}

${table(["command", "what it does"], commands)}

\`network-dra help COMMAND\` prints what this page says about a command, and so do \`-h\` and
\`--help\` anywhere after the command. \`network-dra --version\` prints the version.

A value follows its flag after a space or \`=\`. When a flag is given twice, the last one counts. \`--\`
ends the flags: everything after it is an argument, even if it begins with a dash.

\`network-dra completion SHELL\` prints a script for Bash, Zsh or fish to complete commands, flags, values
and file names.

${COMMANDS.map(commandSection).join("\n\n")}
`;
}

function anchor(name: string): string {
  return `network-dra-${name}`;
}

function commandSection(command: Command): string {
  const { name, description, argument, examples, exitCodes } = command;
  return [
    `## network-dra ${name}`,
    ...description,
    `\`\`\`\n${usageOf(command)}\n\`\`\``,
    ...argument ? [`${code(argumentOf(command))}: ${withChoices(argument)}`] : [],
    ...Object.keys(command.flags).length > 0 ? [flagsSection(command)] : [],
    "Examples:",
    `\`\`\`sh\n${examples.map(({ what, line }) => `# ${what}\n${line}`).join("\n\n")}\n\`\`\``,
    table(["exit code", "meaning"], Object.entries(exitCodes)),
  ].join("\n\n");
}

function flagsSection(command: Command): string {
  const { name } = COMMANDS.find(({ flags }) => flags === command.flags)!;
  if (name !== command.name) {
    return `The flags are those of [${code(`network-dra ${name}`)}](#${anchor(name)}).`;
  }
  const flags = Object.values(command.flags);
  const columns = COLUMNS.filter(({ cell }) => flags.some((flag) => cell(flag, command) !== ""));
  return table(
    columns.map(({ head }) => head),
    flags.map((flag) => columns.map(({ cell }) => cell(flag, command))),
  );
}

/** Those in which no flag of a command has anything are left out. */
const COLUMNS: readonly {
  readonly head: string;
  readonly cell: (flag: Flag<unknown>, command: Command) => string;
}[] = [
  { head: "flag", cell: spellings },
  {
    head: "what it is for",
    cell: (flag) => withChoices({ help: flag.help, choices: choicesOf(flag) }),
  },
  { head: "default", cell: defaultCell },
  { head: "environment variable", cell: ({ env }) => code(env) },
  {
    head: "in the configuration file",
    cell: (flag, { settings = {} }) =>
      code(Object.entries(settings).find(([, setting]) => setting === flag)?.[0]),
  },
];

/** `-o`, `--output FORMAT`, and other spellings. */
function spellings({ name, short, aliases = [], takes }: Flag<unknown>): string {
  return codes([
    ...short === undefined ? [] : [`-${short}`],
    `--${name}${takes === undefined ? "" : ` ${takes}`}`,
    ...aliases.map((alias) => `--${alias}`),
  ]);
}

function defaultCell(flag: Flag<unknown>): string {
  if (flag.required) return "none: required";
  return flag.defaultIs ?? code(defaultOf(flag));
}
