import type { StatusDocument } from "./document.ts";

/** The parts of a document that grow with the number of pods. */
export type Lists = "sandboxes" | "claims" | "attachments";

/** A document whose long lists are made as they are read. */
export type DocumentParts =
  & Omit<StatusDocument, Lists>
  & {
    readonly [K in Lists]: Iterable<StatusDocument[K][number]>;
  };

/** Items that are made and written at once: some 0.2 ms of work, which a pod that starts can wait. */
const AT_ONCE = 20;

/**
 * A status document as JSON, in pieces: who makes it can do other things between two. Pure.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { documentText } from "./document_text.ts";
 *
 * const head = { version: 1, source: "agent", at: "", stateDir: "/s" } as const;
 * const lists = { agents: [], settings: [], devices: [], sandboxes: [], claims: [], attachments: [] };
 * assert.deepEqual(JSON.parse([...documentText({ ...head, ...lists })].join("")).claims, []);
 * ```
 */
export function* documentText(
  { sandboxes, claims, attachments, ...head }: DocumentParts,
): Generator<string> {
  yield JSON.stringify(head).slice(0, -1);
  for (const [name, items] of Object.entries({ sandboxes, claims, attachments })) {
    yield `,${JSON.stringify(name)}:[`;
    let piece: string[] = [];
    let separator = "";
    for (const item of items) {
      piece.push(JSON.stringify(item));
      if (piece.length < AT_ONCE) continue;
      yield separator + piece.join(",");
      [piece, separator] = [[], ","];
    }
    if (piece.length > 0) yield separator + piece.join(",");
    yield "]";
  }
  yield "}\n";
}
