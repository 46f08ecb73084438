import { stringify } from "yaml";
import { printable } from "../async/printable.ts";
import type { ClusterPicture } from "../cluster/picture.ts";
import { sentences } from "./cluster_access.ts";

/** The values of `--output`. */
export type OutputFormat = "text" | "wide" | "json" | "yaml";

/** Prints a document for programs, or lines for people. */
export function printAs(
  format: OutputFormat,
  { document, lines }: {
    readonly document: () => unknown;
    readonly lines: (wide: boolean) => readonly string[];
  },
): void {
  switch (format) {
    case "json":
      return console.log(JSON.stringify(document(), null, 2));
    case "yaml":
      return console.log(stringify(document(), { aliasDuplicateObjects: false }).trimEnd());
    default:
      return console.log(lines(format === "wide").join("\n"));
  }
}

/** A list for programs, with what is missing in it and why. */
export function listDocument(items: readonly unknown[], { takenAt, unread }: ClusterPicture) {
  return { takenAt, items, unread };
}

/** Prints on standard error what could not be read, so that the output stays unchanged. */
export function sayUnread({ unread }: ClusterPicture): void {
  for (const sentence of sentences(unread)) console.error(`Not shown: ${printable(sentence)}`);
}
