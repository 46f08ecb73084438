import type { Flags } from "../flag.ts";
import * as take from "../settings.ts";

/** The format of a command's output, for people or for programs. */
export const OUTPUT_FLAG = {
  output: {
    name: "output",
    short: "o",
    takes: "FORMAT",
    help: "Format: wide has more columns; json and yaml are for programs.",
    default: "text",
    parse: take.oneOf("text", "wide", "json", "yaml"),
  },
} as const satisfies Flags;
