/** What is used of a log. */
export interface WarnAndDebug {
  warn(message: string, about?: Record<string, unknown>): void;
  debug(message: string, about?: Record<string, unknown>): void;
}

/** Warns of a problem that lasts once, and after that says it for debugging only. */
export class WarnOnce {
  readonly #log: WarnAndDebug;
  #last: string | undefined;

  constructor(log: WarnAndDebug) {
    this.#log = log;
  }

  /** @param about.error tells one problem from another: a new one is a warning again */
  say(
    message: string,
    about: Readonly<Record<string, unknown>> & { readonly error: string },
  ): void {
    const isNew = about.error !== this.#last;
    this.#last = about.error;
    this.#log[isNew ? "warn" : "debug"](message, about);
  }

  /** The problem is over: the next one is a warning, also if it is the same. */
  over(): void {
    this.#last = undefined;
  }
}
