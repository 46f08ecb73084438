import type { Random } from "./random.ts";

/** Something that takes input from outside. */
export interface Target<Input = unknown> {
  /** Inputs that are tried as they are, and from which others are made: valid ones, and those that once did harm. */
  readonly seeds: readonly Input[];
  mutate(seeds: readonly Input[], random: Random): Input;
  /** Gives the input to the code. Throws what breaks the rules: an error that is not declared, a result that is wrong. */
  attempt(input: Input, random: Random): void | Promise<void>;
  /** The input, for a report. */
  show(input: Input): string;
  close?(): Promise<void>;
}

/** Makes a target. @param folder the only one that it may write to */
export type MakeTarget = (folder: string) => Promise<Target>;

/** A rule that an input broke. */
export class Violation extends Error {
  override readonly name = "Violation";
}

export function holds(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Violation(rule);
}

type ErrorClass = new (...args: never[]) => Error;

/** Longer messages flood logs and the events of a cluster, in characters. */
const LONGEST_MESSAGE = 8 * 1024;

/** Passes where the error is exactly of one of these classes, and says what a person can use. */
export function declared(
  error: unknown,
  ...classes: readonly ErrorClass[]
): asserts error is Error {
  const is = classes.some((each) => error instanceof Error && error.constructor === each);
  if (!is) throw new Violation(`an error that is not declared: ${error}`, { cause: error });
  const { message } = error as Error;
  holds(message !== "", "an error says nothing");
  holds(message.length <= LONGEST_MESSAGE, `an error has ${message.length} characters`);
  staysInside(message);
}

/** Deno keeps the code in its folder; that it was kept must not be lost in a message. */
export function staysInside(message: string): void {
  if (/NotCapable|Requires \w+ access|the agent is not allowed to/.test(message)) {
    throw new Violation(`it tried: ${message}`);
  }
}

/** What JavaScript objects have in common must stay as it is. */
export function assertPrototypes(): void {
  for (const key in {}) throw new Violation(`Object.prototype has got a property ${key}`);
  for (const key in []) throw new Violation(`Array.prototype has got a property ${key}`);
}
