import { parseArgs } from "node:util";
import { errorMessage } from "../async/error_message.ts";
import { nearest } from "../claim/did_you_mean.ts";
import { show } from "../claim/field.ts";
import { type Command, flagsOf } from "./command.ts";
import type { Flag } from "./flag.ts";
import { CommandLineError } from "./usage_error.ts";

/** A text for a flag, and where it was given, such as `--node-name` or `NODE_NAME`. */
export interface Given {
  readonly from: "flag" | "environment" | "file";
  readonly at: string;
  readonly text: string | undefined;
}

/** The flags and arguments on a command line. */
export interface Words {
  /** Each flag that is given, by its name; the last one counts. */
  readonly flags: ReadonlyMap<string, Given>;
  readonly args: readonly string[];
}

/** Whether a command line asks for help, whatever else it contains. */
export function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return argv.slice(0, end < 0 ? undefined : end).some((word) =>
    word === "-h" || word === "--help"
  );
}

/**
 * Reads the words that follow a command. Use checkArguments() to check the arguments.
 *
 * @throws CommandLineError that names the flag
 */
export function readWords(command: Command, argv: readonly string[]): Words {
  const spellings = spellingsOf(command);
  const options = Object.fromEntries(
    [...spellings].map(([spelling, { short, takes }]) =>
      [spelling, {
        type: takes === undefined ? "boolean" : "string",
        ...(short !== undefined && { short }),
      }] as const
    ),
  );
  // Not strict: its own messages are worse than ours.
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, tokens: true });
  const flags = new Map<string, Given>();
  const args: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") args.push(token.value);
    if (token.kind !== "option") continue;
    const flag = spellings.get(token.name);
    // For a word such as -keep, name all of it, not only its first letter.
    if (!flag) throw unknownFlag(wordOf(argv[token.index] ?? token.rawName), command);
    flags.set(flag.name, { from: "flag", at: token.rawName, text: textOf(flag, token) });
  }
  return { flags, args };
}

function spellingsOf(command: Command): Map<string, Flag<unknown>> {
  return new Map(
    flagsOf(command).flatMap((flag) =>
      [flag.name, ...flag.aliases ?? []].map((spelling) => [spelling, flag] as const)
    ),
  );
}

/** `--flag=value` without its value. */
function wordOf(word: string): string {
  return word.replace(/=.*$/s, "");
}

function unknownFlag(word: string, command: Command): CommandLineError {
  const { name: commandName, argument } = command;
  // As kubectl takes files.
  const isFile = argument?.path === "file" && ["-f", "--filename"].includes(word);
  const meant = meantBy(word.replace(/^-+/, ""), [...spellingsOf(command).keys()]);
  const hint = isFile
    ? `; name files without a flag, as in network-dra ${commandName} ${argument.name}`
    : meant === undefined
    ? ""
    : `; did you mean --${meant}?`;
  return new CommandLineError(`unknown flag ${word}${hint}`);
}

/** The known word that the user means: the word has a typo, or is the beginning of only that one. */
export function meantBy(word: string, known: readonly string[]): string | undefined {
  if (word.length > 1 && known.includes(word)) return word;
  const begun = word.length > 1 ? known.filter((each) => each.startsWith(word)) : [];
  return nearest(word, known) ?? (begun.length === 1 ? begun[0] : undefined);
}

function textOf(
  { name, takes, short, parse }: Flag<unknown>,
  { value, inlineValue, rawName }: {
    readonly value: string | undefined;
    readonly inlineValue: boolean | undefined;
    readonly rawName: string;
  },
): string {
  if (takes === undefined) return value ?? "true";
  // As in -o=json.
  if (value !== undefined && inlineValue) {
    return rawName === `-${short}` ? value.replace(/^=/, "") : value;
  }
  // A negative number is a value, even if an invalid one: the flag says what it must be.
  if (value !== undefined && !/^-[^\d.]/.test(value)) return value;
  const follows = value === undefined ? "" : `, before the flag ${value}`;
  const must = demand(parse);
  throw new CommandLineError(
    `${rawName}: value is missing${follows}${must === undefined ? "" : `; must be ${must}`}, ` +
      `as in --${name} ${takes}`,
  );
}

/** What a value must be, if it cannot be empty. */
function demand(parse: (text: string) => unknown): string | undefined {
  try {
    parse("");
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

/** @throws CommandLineError that names the argument of a command that is wrong or missing */
export function checkArguments({ argument }: Command, args: readonly string[]): void {
  if (argument === undefined) {
    if (args.length > 0) throw new CommandLineError(`unexpected argument ${show(args[0])}`);
    return;
  }
  const { name, help, least, most, choices = [] } = argument;
  const what = choices.length === 0 ? help : `one of ${choices.join(", ")}`;
  if (args.length < least) throw new CommandLineError(`${name} is required: ${what}`);
  const excess = most === "any" ? undefined : args[most];
  if (excess !== undefined) throw new CommandLineError(`unexpected argument ${show(excess)}`);
  for (const text of args) {
    if (choices.length === 0 || choices.includes(text)) continue;
    throw new CommandLineError(`${name}: ${show(text)} is not valid; must be ${what}`);
  }
}
