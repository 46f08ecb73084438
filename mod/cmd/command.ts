import type { Flag, Flags } from "./flag.ts";
import { yesOrNo } from "./settings.ts";

/** An argument of a command. */
export interface Argument {
  /** Such as FILE. */
  readonly name: string;
  /** Whole sentences. */
  readonly help: string;
  /** How many there must be. */
  readonly least: 0 | 1;
  /** How many there may be. */
  readonly most: 1 | "any";
  readonly choices?: readonly string[];
  readonly path?: "file";
}

/** A working command line, and what it does. */
export interface Example {
  readonly what: string;
  readonly line: string;
}

/** A command, as the parser, the help, the completion and the reference use it. */
export interface Command {
  readonly name: string;
  /** One line of the list of commands. */
  readonly summary: string;
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly argument?: Argument;
  readonly flags: Flags;
  /** The flags that are also settings of the configuration file. */
  readonly settings?: Flags;
  readonly examples: readonly Example[];
  readonly exitCodes: Readonly<Record<number, string>>;
}

/** The flag that every command has. */
export const HELP_FLAG: Flag<boolean> = {
  name: "help",
  short: "h",
  help: "Print this help.",
  parse: yesOrNo,
};

/** The flags of a command, with --help at the end. */
export function flagsOf({ flags }: Command): readonly Flag<unknown>[] {
  return [...Object.values(flags), HELP_FLAG];
}

/** The values that a flag accepts, if there are few. */
export function choicesOf({ takes, parse }: Flag<unknown>): readonly string[] {
  return takes === undefined ? [] : parse.choices ?? [];
}

/** Exit codes that commands have in common. */
export const EXIT_CODES = {
  1: "The command failed.",
  2: "Wrong usage: a flag, an environment variable, or a file that one of them names.",
} as const;
