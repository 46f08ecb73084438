/** Server-Sent Events (WHATWG HTML, 9.2), as far as the page needs them: a type, and one line of JSON. */

/** One event. */
export interface StreamEvent {
  readonly type: string;
  /** JSON. */
  readonly data: string;
}

/** A longer event is refused, in characters. */
const LONGEST = 64 * 1024 * 1024;

/** As it is sent. @param event.data without line breaks */
export function formatEvent({ type, data }: StreamEvent): string {
  return `event: ${type}\ndata: ${data}\n\n`;
}

/** A comment, which tells the page that the server is there. */
export const KEEP_ALIVE = ": still here\n\n";

/** Takes a stream in pieces of any size. */
export class EventReader {
  #rest = "";

  /** The events that are complete. @throws Error on one that is too long */
  push(piece: string): StreamEvent[] {
    const blocks = (this.#rest + piece).split("\n\n");
    this.#rest = blocks.pop()!;
    if (this.#rest.length > LONGEST) throw new Error("an event of the server is too long");
    return blocks.flatMap((block) => {
      const fields = new Map(
        block.split("\n").map((line) => {
          const at = line.indexOf(": ");
          return [line.slice(0, at), line.slice(at + 2)] as const;
        }),
      );
      const data = fields.get("data");
      return data === undefined ? [] : [{ type: fields.get("event") ?? "message", data }];
    });
  }
}
