import { createHash } from "node:crypto";
import { withoutRoot } from "./deno_files.ts";

export type Invariant =
  | "addresses"
  | "gate"
  | "foreign"
  | "living"
  | "overlap"
  | "leftovers"
  | "status"
  | "others"
  | "progress"
  | "limit"
  | "leader"
  | "stale"
  | "error";

export interface Violation {
  readonly invariant: Invariant;
  readonly what: string;
  /** Virtual milliseconds since the run began. */
  readonly at: number;
}

/** In characters. */
const HASHED_AT_ONCE = 16_384;

/** What happened in a run, as lines with their times; and what must not have happened. */
export class Trace {
  readonly #hash = createHash("sha256");
  /** Lines that are not in the hash yet: hashing many at once is faster. */
  #unhashed = "";
  readonly #time: () => number;
  readonly #keep: ((line: string) => void) | undefined;
  readonly violations: Violation[] = [];
  operations = 0;

  constructor(time: () => number, keep?: (line: string) => void) {
    this.#time = time;
    this.#keep = keep;
  }

  note(what: string): void {
    const line = `${this.#time().toFixed(3)} ${withoutRoot(what)}\n`;
    this.#unhashed += line;
    if (this.#unhashed.length > HASHED_AT_ONCE) this.#hashLines();
    this.#keep?.(line);
  }

  /** An operation: one call or event of kubelet, runtime, another plugin, or an administrator. */
  operation(what: string): void {
    this.operations++;
    this.note(what);
  }

  violation(invariant: Invariant, what: string): void {
    this.note(`VIOLATION ${invariant}: ${what}`);
    // The first of a kind says enough.
    if (this.violations.some((each) => each.invariant === invariant && each.what === what)) return;
    this.violations.push({ invariant, what, at: this.#time() });
  }

  /** Of all lines; to be asked for once, at the end. */
  digest(): string {
    this.#hashLines();
    return this.#hash.digest("hex");
  }

  #hashLines(): void {
    this.#hash.update(this.#unhashed);
    this.#unhashed = "";
  }
}
