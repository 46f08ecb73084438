import { didYouMean } from "./did_you_mean.ts";

/** Something at a path of an object is not as it must be: where, what is wrong, and what is allowed. */
export class FieldError extends Error {
  override readonly name = "FieldError";
  /** E.g. `config.plugins[1].type`. */
  readonly path: string;

  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

/** A JSON object whose keys are not known yet. */
export type Fields = Readonly<Record<string, unknown>>;

/**
 * Returns the value as an object; with `only`, one that has no other keys.
 *
 * @param path the path of the value, for errors
 * @throws FieldError
 */
export function object(value: unknown, path: string, only?: readonly string[]): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new FieldError(path, `must be an object, not ${show(value)}${spaceIn(value)}`);
  }
  const fields = value as Fields;
  if (only) {
    for (const key of Object.keys(fields)) {
      if (!only.includes(key)) {
        const meant = didYouMean(key, only);
        throw new FieldError(
          join(path, key),
          `is unknown; must be one of ${only.join(", ")}${meant}`,
        );
      }
    }
  }
  return fields;
}

/** What to do about `name:lan`, which YAML reads as text. */
function spaceIn(value: unknown): string {
  const [, key, rest] = typeof value === "string" && /^([\w-]+):(\w.*)$/.exec(value) || [];
  return key === undefined ? "" : ` (write a space after the colon: ${show(`${key}: ${rest}`)})`;
}

/** Returns the value as a list. @throws FieldError */
export function array(value: unknown, path: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new FieldError(path, `must be a list, not ${show(value)}`);
}

/** Returns the value as a string that is not empty. @throws FieldError */
export function text(value: unknown, path: string): string {
  if (typeof value === "string" && value !== "") return value;
  const problem = `must be a string that is not empty, not ${show(value)}${quotes(value)}`;
  throw new FieldError(path, problem);
}

/** What to do about text that YAML has read as something else. */
function quotes(value: unknown): string {
  if (typeof value === "boolean") {
    return ` (YAML reads words such as no and off as ${value}: put it in quotes)`;
  }
  return typeof value === "number" ? " (YAML reads it as a number: put it in quotes)" : "";
}

/** The name or the UID of an object: as long as a name may be, and of what names are made of. */
export const IDENTITY = /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/;

/** A DNS label, as Kubernetes has them. */
export const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** The name or the UID of an object, as the API server gives them: it goes into CNI_ARGS and file names. */
export function identity(value: unknown, path: string): string {
  const given = text(value, path);
  if (IDENTITY.test(given)) return given;
  throw new FieldError(path, `${show(given)} is not the name or UID of an object`);
}

/** What an allocation names: identities, with "/" between them. */
export function allocated(value: unknown, path: string): string {
  const given = text(value, path);
  if (/^[A-Za-z0-9][A-Za-z0-9._/-]{0,252}$/.test(given)) return given;
  throw new FieldError(path, `${show(given)} is not the name of something allocated`);
}

/** As the given reader reads it, or undefined where there is nothing. */
export function optional<T>(
  read: (value: unknown, path: string) => T,
  value: unknown,
  path: string,
): T | undefined {
  return value === undefined || value === null ? undefined : read(value, path);
}

/** `path.key`, or `path["key"]` where the key is not a plain word. */
export function join(path: string, key: string): string {
  const step = /^[A-Za-z0-9_-]{1,64}$/.test(key) ? key : `[${show(key)}]`;
  if (path === "" || step !== key) return path + step;
  return `${path}.${step}`;
}

/** A value in an error message: short, and quoted when it is text. */
export function show(value: unknown): string {
  if (value === undefined) return "missing";
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 80 ? `${json.slice(0, 77)}…` : json;
}
