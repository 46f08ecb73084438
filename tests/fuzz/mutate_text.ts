import type { Random } from "./random.ts";

/** Pieces that mean something to YAML or JSON. */
const PIECES = [
  ..."{}[]:,-?|>&*!#%@`\"'\n\t \0".split(""),
  ...["---\n", "...\n", ": ", "- ", "\n  ", "&a ", "*a", "<<: *a", "!!binary ", "!!js/function x"],
  ...[
    "!!set {}",
    "? ",
    "__proto__: ",
    "constructor: ",
    "\\u0000",
    "\\ud800",
    "0x",
    "1e999",
    ".inf",
  ],
  ...["NaN", "~", "null", "yes", "=", "2026-01-01", "1_000", "0o7", "190:20:30", "\ufeff", "\r"],
  ...["[[[[[[[[", "{a: {a: {a: {a: ", "- - - - - - ", "%YAML 1.1\n---\n", "%TAG ! tag:x,2026:\n"],
];

/** The longest input that mutation makes, in characters. */
const LONGEST = 16 * 1024;

/** One of the texts with one to six pieces put in, taken out, moved or repeated. */
export function mutateText(seeds: readonly string[], random: Random): string {
  let text = random.pick(seeds);
  for (let left = 1 + random.below(6); left > 0; left--) {
    const at = random.below(text.length + 1);
    const part = text.slice(at, at + random.below(40));
    switch (random.below(7)) {
      case 0:
        text = text.slice(0, at) + random.pick(PIECES) + text.slice(at);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(at + part.length);
        break;
      case 2:
        text = text.slice(0, at) + part.repeat(1 + random.below(random.oneIn(10) ? 300 : 3)) +
          text.slice(at);
        break;
      case 3:
        text = text.slice(0, at);
        break;
      case 4:
        text = text.slice(0, at) + random.pick(PIECES).repeat(random.oneIn(10) ? 2000 : 2) +
          text.slice(at);
        break;
      case 5:
        text = text.slice(0, at) + String.fromCharCode(random.below(0x10000)) + text.slice(at + 1);
        break;
      default: {
        const other = random.pick(seeds);
        text = text.slice(0, at) + other.slice(random.below(other.length + 1));
      }
    }
    text = text.slice(0, LONGEST);
  }
  return text;
}
