/**
 * How the process outside a private node talks to the one inside: it writes one line of JSON to the other's
 * standard input, and then keeps that open until the node must end.
 */

/** The line. */
export interface Outside {
  /** The process ID of the private node, as seen from outside. */
  readonly pid: number;
  /** The content of standard input outside, if a file is named `-`. */
  readonly input?: string;
}

/** The bytes of the line. */
export function encodeOutside(outside: Outside): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${JSON.stringify(outside)}\n`);
}

/**
 * Reads the line.
 *
 * @param input what the process outside writes to
 * @returns what it said; `ended` resolves when the process outside closes the pipe, or has ended
 * @throws Error if the pipe ends before the line does
 */
export async function readOutside(
  input: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<{ readonly outside: Outside; readonly ended: Promise<void> }> {
  const reader = input.pipeThrough(new TextDecoderStream()).getReader();
  let line = "";
  while (!line.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the process outside of the private node has ended");
    line += value;
  }
  const untilEnd = async () => {
    while (!(await reader.read()).done);
  };
  return { outside: JSON.parse(line), ended: untilEnd() };
}
