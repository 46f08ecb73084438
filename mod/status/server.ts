import { dirname } from "node:path";
import type { Log } from "../agent/ports.ts";
import { type Backoff, pauseAfter } from "../async/backoff.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { WarnOnce } from "../async/warn_once.ts";
import { within } from "../async/within.ts";
import { makeOwnFolder } from "../files/own_folder.ts";
import { listenUnix } from "../unix/listen.ts";

/** Answers at once; whoever comes then waits until one of them is over. */
const MOST_ANSWERS = 4;
/** Who does not read its answer within this is given up. */
const ANSWER_LIMIT_MS = 5_000;
const RETRY: Backoff = { first: 1_000, most: 60_000 };

/**
 * Tells whoever connects to a unix socket what there is to see, as one text, and closes: nothing is
 * read from the connection. Only root may connect. It goes on until the signal is aborted. A socket
 * that cannot be made is tried again: pods get their networks all the same.
 *
 * @param options.text gives the text in pieces, each of which is made when the one before is written
 */
export async function serveStatus(
  path: string,
  { text, log, clock, signal }: {
    readonly text: () => Iterable<string>;
    readonly log: Log;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const problem = new WarnOnce(log);
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      await makeOwnFolder(dirname(path));
      const listener = listenUnix(path);
      const { ino } = Deno.lstatSync(path);
      problem.over();
      failures = 1;
      try {
        await answerAll(listener, { text, clock, signal });
      } finally {
        removeOwn(path, ino);
      }
    } catch (error) {
      if (signal.aborted) return;
      problem.say("cannot answer `network-dra status`; trying again", {
        socket: path,
        error: errorMessage(error),
      });
    }
    await clock.sleep(pauseAfter(failures, RETRY), signal).catch(() => {});
  }
}

async function answerAll(
  listener: Deno.UnixListener,
  { text, clock, signal }: {
    readonly text: () => Iterable<string>;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const open = new Set<Deno.UnixConn>();
  const answers = new Set<Promise<void>>();
  let listens = true;
  const stop = () => {
    if (listens) listener.close();
    listens = false;
    for (const connection of open) close(connection);
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    while (!signal.aborted) {
      const connection = await listener.accept();
      open.add(connection);
      const answer = within(write(connection, text()), {
        limitMs: ANSWER_LIMIT_MS,
        what: "the answer",
        clock,
      }).catch(() => {
        // Whoever asked has gone, or does not read.
      }).finally(() => {
        close(connection);
        open.delete(connection);
        answers.delete(answer);
      });
      answers.add(answer);
      if (answers.size >= MOST_ANSWERS) await Promise.race(answers);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
    await Promise.all(answers);
  }
}

async function write(connection: Deno.UnixConn, pieces: Iterable<string>): Promise<void> {
  for (const piece of pieces) {
    const bytes = new TextEncoder().encode(piece);
    for (let written = 0; written < bytes.length;) {
      written += await connection.write(bytes.subarray(written));
    }
    // A write that need not wait lets nobody else go on.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

/** Unless another agent took its place. */
function removeOwn(path: string, ino: number | null): void {
  try {
    if (Deno.lstatSync(path).ino === ino) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function close(connection: Deno.UnixConn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
