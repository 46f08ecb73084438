import { FieldError, show, text } from "../claim/field.ts";

/** As long as the name of an object may be. */
const MOST = 253;
const SUBDOMAIN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
/** As long as a DNS label may be. */
const MOST_IN_LABEL = 63;

/** Names that are given once each. */
export class Names {
  readonly #taken: Set<string>;

  constructor(taken: Iterable<string> = []) {
    this.#taken = new Set(taken);
  }

  /** The name, or that name with the first number that makes it new. */
  take(wanted: string, most = MOST): string {
    for (let number = 1;; number++) {
      const end = number === 1 ? "" : `-${number}`;
      const name = `${trimmed(wanted.slice(0, most - end.length))}${end}`;
      if (this.#taken.has(name)) continue;
      this.#taken.add(name);
      return name;
    }
  }

  /** As `take`, for names that are DNS labels. */
  takeLabel(wanted: string): string {
    return this.take(wanted.replaceAll(".", "-"), MOST_IN_LABEL);
  }
}

/** The name of an object or a namespace: a DNS subdomain. @throws FieldError */
export function objectName(value: unknown, path: string): string {
  const name = text(value, path).trim();
  if (name.length <= MOST && SUBDOMAIN.test(name)) return name;
  throw new FieldError(path, `${show(name)} is not the name of a Kubernetes object`);
}

/** A part of a DNS subdomain, of any text. */
export function namePart(text: string): string {
  return trimmed(text.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replace(/^-+/, "")) || "x";
}

function trimmed(name: string): string {
  return name.replace(/[-.]+$/, "");
}
