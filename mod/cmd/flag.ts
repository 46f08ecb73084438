import type { Parse } from "./settings.ts";

/** A flag of a command, as the parser, the help, the completion and the reference use it. */
export interface Flag<T> {
  /** Without the dashes. */
  readonly name: string;
  /** One letter, without the dash. */
  readonly short?: string;
  /** Other spellings. */
  readonly aliases?: readonly string[];
  /** What follows the flag, such as PATH; undefined for a switch, which means "true". */
  readonly takes?: string;
  /** What it does, in whole sentences. */
  readonly help: string;
  /** The text that applies if the flag is not given. */
  readonly default?: string;
  /** What applies without the flag, in words, if the default text does not say it. */
  readonly defaultIs?: string;
  readonly required?: true;
  /** The environment variable that is read if the flag is not given. */
  readonly env?: string;
  /** What the value names, for completion. */
  readonly path?: "file" | "folder";
  readonly parse: Parse<T>;
}

/** Flags by their names in the code and in the configuration file. */
export type Flags = Readonly<Record<string, Flag<unknown>>>;

/** The values of flags; undefined for one that has no default and was not given. */
export type Values<F extends Flags> = {
  readonly [K in keyof F]: F[K] extends Flag<infer T>
    ? F[K] extends { readonly default: string } | { readonly required: true } ? T : T | undefined
    : never;
};
