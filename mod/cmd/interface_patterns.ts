import { array, FieldError, object, optional, show, text } from "../claim/field.ts";
import type { InterfacePatterns } from "../inventory/offered_links.ts";
import { UsageError } from "./usage_error.ts";

/**
 * The configuration file's `interfaces`: {include: [PATTERN…], exclude: [PATTERN…]}.
 *
 * @throws UsageError that names file, key and what is allowed
 */
export function readInterfacePatterns(value: unknown, file: string): InterfacePatterns {
  try {
    const fields = optional(
      (given, path) => object(given, path, ["include", "exclude"]),
      value,
      "interfaces",
    ) ?? {};
    const include = optional(patterns, fields.include, "interfaces.include");
    const exclude = optional(patterns, fields.exclude, "interfaces.exclude");
    return { ...(include && { include }), ...(exclude && { exclude }) };
  } catch (error) {
    if (error instanceof FieldError) throw new UsageError(`${file}: ${error.message}`);
    throw error;
  }
}

function patterns(value: unknown, path: string): string[] {
  return array(value, path).map((item, i) => {
    const pattern = text(item, `${path}[${i}]`);
    if (!/[\s/,]/.test(pattern)) return pattern;
    throw new FieldError(
      `${path}[${i}]`,
      `${show(pattern)} must be the name of an interface, where * matches any characters ` +
        "and ? for one",
    );
  });
}
