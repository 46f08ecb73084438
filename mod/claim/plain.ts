import { FieldError, type Fields, join } from "./field.ts";

/** Deeper than any plugin's configuration. */
const MOST_DEEP = 32;
/** Names that JavaScript gives meaning to: what stands under them would not be kept as it is. */
const FORBIDDEN_KEYS = ["__proto__", "constructor", "prototype"];

/**
 * Refuses what could not be written to the journal and read again unchanged.
 *
 * @param path the path of the value, for errors
 * @throws FieldError with the path of the first such field
 */
export function assertPlain(value: unknown, path: string): void {
  const left = [{ value, path, depth: 0 }];
  for (let next = left.pop(); next; next = left.pop()) {
    const { value, path, depth } = next;
    if (typeof value !== "object" || value === null) continue;
    if (depth > MOST_DEEP) {
      throw new FieldError(path, `is nested too deeply: at most ${MOST_DEEP} levels are allowed`);
    }
    for (const key of Object.keys(value)) {
      if (FORBIDDEN_KEYS.includes(key)) {
        throw new FieldError(join(path, key), "is not allowed as a name");
      }
      const at = Array.isArray(value) ? `${path}[${key}]` : join(path, key);
      left.push({ value: (value as Fields)[key], path: at, depth: depth + 1 });
    }
  }
}
