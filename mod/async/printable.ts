/**
 * A text for one line of a terminal. What comes from others, such as plugins' messages and names in
 * claims, can contain anything: control characters move the cursor or begin a line that looks like one
 * of ours; marks for the direction of text, and those without a width, hide what is there.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { printable } from "./printable.ts";
 *
 * assert.equal(printable("no address\u001b[2J\nall is well"), "no address [2J all is well");
 * ```
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, " ");
}

const UNPRINTABLE =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/g;
