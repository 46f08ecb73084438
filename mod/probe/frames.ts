/** What probes say to one another: one line of JSON each way, and datagrams. */

/** The first line of a TCP connection. */
export interface Question {
  /** The test that the asking probe is of: others get no answer. */
  readonly run: string;
  readonly ask: "hello" | "stream";
}

export interface Hello {
  readonly run: string;
  readonly name: string;
  /** The address from which the question came. */
  readonly seenAs: string;
}

export interface Received {
  readonly bytes: number;
  /** Milliseconds from the first to the last byte. */
  readonly ms: number;
}

/** A line is not longer than this, in bytes. */
const LONGEST_LINE = 512;

/** A line of JSON. @throws Error where the other side says something else or nothing */
export async function readLine(connection: Deno.Conn): Promise<Record<string, unknown>> {
  const bytes = new Uint8Array(1);
  let line = "";
  for (;;) {
    const read = await connection.read(bytes);
    if (read === null) throw new Error("the connection ended without an answer");
    const character = String.fromCharCode(bytes[0]!);
    if (character === "\n") return JSON.parse(line);
    line += character;
    if (line.length > LONGEST_LINE) throw new Error("the answer is not a probe's");
  }
}

export async function writeLine(connection: Deno.Conn, value: unknown): Promise<void> {
  await writeAll(connection, new TextEncoder().encode(`${JSON.stringify(value)}\n`));
}

export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await connection.write(bytes.subarray(written));
  }
}

/** A datagram of so many bytes that asks for an answer. @throws RangeError where it is too short */
export function datagram(
  { run, number, size }: { readonly run: string; readonly number: number; readonly size: number },
): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes.set(new TextEncoder().encode(`${run} ${number} `));
  return bytes;
}

/** The answer to a datagram: its number and how much of it arrived; undefined for a stranger's. */
export function datagramAnswer(run: string, received: Uint8Array): Uint8Array | undefined {
  const [said, number] = new TextDecoder().decode(received.subarray(0, 64)).split(" ");
  if (said !== run || !/^\d+$/.test(number ?? "")) return undefined;
  return new TextEncoder().encode(`${run} ${number} ${received.length}`);
}

/** IPv4 addresses as IPv6 sockets have them, without what stands before. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}
