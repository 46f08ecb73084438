import { show } from "../claim/field.ts";
import type { Command } from "./command.ts";
import type { Flag, Flags, Values } from "./flag.ts";
import { CommandLineError, UsageError } from "./usage_error.ts";
import { checkArguments, type Given, readWords, type Words } from "./words.ts";

/** The texts for a flag on the command line and in the environment; the first one counts. */
export function givenBy(
  { name, env: variable }: Flag<unknown>,
  { words, env }: {
    readonly words: Words;
    readonly env: (name: string) => string | undefined;
  },
): Given[] {
  const given = words.flags.get(name);
  return [
    ...given ? [given] : [],
    ...variable === undefined
      ? []
      : [{ from: "environment", at: variable, text: env(variable) } as const],
  ];
}

/** The values of flags, and where each was given. */
export interface Settled<F extends Flags> {
  readonly values: Values<F>;
  readonly places: Readonly<Partial<Record<keyof F, string>>>;
  /** The texts of the flags that were given. */
  readonly given: Readonly<Partial<Record<keyof F, Given>>>;
}

/**
 * The value of each flag: from the first place that has a text for it, or its default.
 *
 * @throws UsageError with the place, the text and what it must be
 */
export function settle<F extends Flags>(
  flags: F,
  placesOf: (flag: Flag<unknown>, key: string) => readonly Given[],
): Settled<F> {
  const values: Record<string, unknown> = {};
  const places: Record<string, string> = {};
  const all: Record<string, Given> = {};
  for (const [key, flag] of Object.entries<Flag<unknown>>(flags)) {
    const given = placesOf(flag, key).find(({ text }) => text !== undefined);
    if (given) [places[key], all[key]] = [given.at, given];
    const text = given?.text ?? flag.default;
    if (text !== undefined) values[key] = parsed(flag, { at: given?.at ?? `--${flag.name}`, text });
    else if (flag.required) {
      throw new CommandLineError(`--${flag.name} is required: ${flag.help}`);
    }
  }
  return {
    values: values as Values<F>,
    places: places as Settled<F>["places"],
    given: all as Settled<F>["given"],
  };
}

function parsed({ parse }: Flag<unknown>, { at, text }: { at: string; text: string }): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new UsageError(`${at}: ${show(text)} is not valid; must be ${(error as Error).message}`);
  }
}

/**
 * The flags and arguments of a command, from its command line and the environment.
 *
 * @throws UsageError
 */
export function readCommandLine<C extends Command>(
  command: C,
  argv: readonly string[],
  env: (name: string) => string | undefined = () => undefined,
): { readonly flags: Values<C["flags"]>; readonly args: readonly string[] } {
  const words = readWords(command, argv);
  // Before the arguments: a file after -o is a wrong format, and not a missing file.
  const { values } = settle<C["flags"]>(command.flags, (flag) => givenBy(flag, { words, env }));
  checkArguments(command, words.args);
  return { flags: values, args: words.args };
}
