import * as take from "../settings.ts";

/** The flag for the format of a command's output; the first format is the default. */
export function outputFlag<const Format extends string>(
  help: string,
  ...formats: readonly [Format, ...Format[]]
) {
  return {
    output: {
      name: "output",
      short: "o",
      takes: "FORMAT",
      help,
      default: formats[0] as string,
      parse: take.oneOf(...formats),
    },
  } as const;
}

/** The format of tables, for people or for programs. */
export const OUTPUT_FLAG = outputFlag(
  "Format: wide has more columns; json and yaml are for programs.",
  "text",
  "wide",
  "json",
  "yaml",
);
