import { learnFromText } from "./names.ts";
import type { Redactor } from "./redactor.ts";
import { textWithoutSecrets, withoutSecrets } from "./secrets.ts";

/** Bytes of a file's or a folder's name in an archive. */
const MOST_NAME = 80;

/** What everything passes that goes into an archive: no secrets, and no names where none are wanted. */
export class Cleaner {
  readonly #redactor: Redactor | undefined;

  /** @param redactor undefined where names may stay */
  constructor(redactor: Redactor | undefined) {
    this.#redactor = redactor;
  }

  /** JSON of a value. */
  json(value: unknown): string {
    return `${JSON.stringify(this.#value(value), null, 2)}\n`;
  }

  /** A text; where a line of it is a JSON object, as in a log, its fields are looked at. */
  text(text: string): string {
    if (this.#redactor) learnFromText(this.#redactor, text);
    let done = "";
    let from = 0;
    for (const { 0: line, index } of text.matchAll(/^\{.*\}$/gm)) {
      const value = parsed(line);
      if (value === undefined) continue;
      done += this.#plain(text.slice(from, index)) + JSON.stringify(this.#value(value));
      from = index + line.length;
    }
    return done + this.#plain(text.slice(from));
  }

  #value(value: unknown): unknown {
    const clean = withoutSecrets(value);
    return this.#redactor ? this.#redactor.value(clean) : clean;
  }

  #plain(text: string): string {
    const clean = textWithoutSecrets(text);
    return this.#redactor ? this.#redactor.text(clean) : clean;
  }

  /** A name as part of a path. */
  name(name: string): string {
    const shown = (this.#redactor ? this.#redactor.text(name) : name)
      .replaceAll(/[^\w.-]/g, "_").replace(/^\.+/, "_");
    return shown.slice(0, MOST_NAME);
  }
}

/** Undefined for what is not JSON. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
