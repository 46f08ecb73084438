import type { Parse } from "./settings.ts";
import { UsageError } from "./usage_error.ts";

/**
 * The value of a flag.
 *
 * @throws UsageError that names the flag, the text and what the flag takes
 */
export function flagValue<T>(flag: string, text: string, parse: Parse<T>): T {
  try {
    return parse(text);
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(`${flag}: ${JSON.stringify(text)} is not possible; it takes ${message}`);
  }
}
