import { FieldError } from "../claim/field.ts";
import type { Policy } from "../claim/policy.ts";
import { parsePolicy } from "../claim/policy_config.ts";
import { UsageError } from "./usage_error.ts";

/** The configuration file's `policy`. @throws UsageError that names file, key and what is allowed */
export function readPolicy(value: unknown, file: string): Policy {
  try {
    return parsePolicy(value);
  } catch (error) {
    if (error instanceof FieldError) throw new UsageError(`${file}: ${error.message}`);
    throw error;
  }
}
