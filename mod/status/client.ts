import { join } from "node:path";
import { systemClock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { TimeLimitError, within } from "../async/within.ts";
import { DOCUMENT_VERSION, type StatusDocument } from "./document.ts";
import { isStatusSocket, statusFolder } from "./socket.ts";

/** An agent answers from memory. */
const ANSWER_LIMIT_MS = 5_000;
/** More sockets than a node has agents: others that were left. */
const MOST_SOCKETS = 16;
/** Many times that of a node with thousands of pods. */
const MOST_BYTES = 256 * 1024 * 1024;

/** What came of asking at one socket. */
export type Answer =
  | { readonly kind: "document"; readonly document: StatusDocument }
  /** Nobody listens: the agent was killed. */
  | { readonly kind: "nobody"; readonly socket: string }
  /** Somebody listens, and does not answer in time. */
  | { readonly kind: "hangs"; readonly socket: string; readonly limitMs: number }
  | { readonly kind: "unusable"; readonly socket: string; readonly error: string };

/**
 * Asks all agents of the node that keep their state in this folder, side by side.
 *
 * @throws Error where the folder cannot be read
 */
export async function askAgents(
  stateDir: string,
  { limitMs = ANSWER_LIMIT_MS }: { readonly limitMs?: number } = {},
): Promise<Answer[]> {
  const folder = statusFolder(stateDir);
  const names = await namesIn(folder);
  const sockets = names.filter(isStatusSocket).toSorted().slice(0, MOST_SOCKETS);
  return await Promise.all(sockets.map((name) => ask(join(folder, name), limitMs)));
}

async function ask(socket: string, limitMs: number): Promise<Answer> {
  let connection: Deno.UnixConn | undefined;
  const text = async () => {
    connection = await Deno.connect({ transport: "unix", path: socket });
    return await readAll(connection);
  };
  try {
    const limit = { limitMs, what: "the answer", clock: systemClock };
    return { kind: "document", document: parseDocument(await within(text(), limit)) };
  } catch (error) {
    if (error instanceof TimeLimitError) return { kind: "hangs", socket, limitMs };
    const gone = [Deno.errors.ConnectionRefused, Deno.errors.NotFound];
    if (gone.some((kind) => error instanceof kind)) return { kind: "nobody", socket };
    return { kind: "unusable", socket, error: errorMessage(error) };
  } finally {
    connection?.close();
  }
}

async function readAll(connection: Deno.UnixConn): Promise<string> {
  const chunks: Uint8Array[] = [];
  const buffer = new Uint8Array(256 * 1024);
  let size = 0;
  for (let count; (count = await connection.read(buffer)) !== null;) {
    size += count;
    if (size > MOST_BYTES) throw new Error(`the answer has more than ${MOST_BYTES} bytes`);
    chunks.push(buffer.slice(0, count));
  }
  return await new Blob(chunks as BlobPart[]).text();
}

/** @throws Error where it is not a document of this version */
function parseDocument(text: string): StatusDocument {
  let document: Partial<StatusDocument> | null;
  try {
    document = JSON.parse(text);
  } catch {
    throw new Error("the answer is not whole: the agent ended, or another program answers");
  }
  const version: unknown = document?.version;
  if (version === DOCUMENT_VERSION) return document as StatusDocument;
  throw new Error(
    `the answer is of version ${JSON.stringify(version)}, and this program reads version ` +
      `${DOCUMENT_VERSION}: use the program of the agent's own release`,
  );
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
