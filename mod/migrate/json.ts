import { errorMessage } from "../async/error_message.ts";
import { FieldError } from "../claim/field.ts";

/**
 * The value of JSON in a field's text.
 *
 * @throws FieldError, also for a number that would not stay the same
 */
export function parseJson(text: string, path: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FieldError(path, `is not valid JSON: ${errorMessage(error).slice(0, 200)}`);
  }
  if (hasLargeNumber(value)) {
    throw new FieldError(path, `has a number beyond ±${Number.MAX_SAFE_INTEGER}`);
  }
  return value;
}

/** A larger one than JavaScript's numbers hold is another, or infinite. Not recursive: it may be deep. */
function hasLargeNumber(value: unknown): boolean {
  const left = [value];
  while (left.length > 0) {
    const each = left.pop();
    if (typeof each === "number" && Math.abs(each) > Number.MAX_SAFE_INTEGER) return true;
    if (typeof each === "object" && each !== null) {
      for (const inner of Object.values(each)) left.push(inner);
    }
  }
  return false;
}
