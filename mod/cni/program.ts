/** Runs one program to its end: the port behind which plugins run. */
export type RunProgram = (path: string, options: ProgramOptions) => Promise<ProgramOutcome>;

/** The input of a program, and its limits. */
export interface ProgramOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: Uint8Array;
  /** Milliseconds; then the program and all that it started is killed. */
  readonly timeout: number;
  /** Kills likewise. */
  readonly signal: AbortSignal;
}

/** What a program printed, and how it ended. */
export interface ProgramOutcome {
  readonly code: number;
  /** The signal that ended it, where one did. */
  readonly signal?: string;
  readonly stdout: Uint8Array;
  /** The end of what it wrote there. */
  readonly stderr: string;
  /** Set when it was killed: why. */
  readonly killed?: string;
}

/** What a plugin may print, in bytes: results are a few kilobytes. */
const STDOUT_LIMIT = 1024 * 1024;
const STDERR_TAIL = 4096;
/** What is read at once, in bytes: most results fit. */
const CHUNK = 4096;
/**
 * How long output is awaited that a child of an ended plugin may still hold open, in milliseconds: in
 * many turns of the event loop, because a single one may be late by that much on a busy node, before
 * what is in the pipe has been read.
 */
const LINGER_MS = 200;
const LINGER_TURNS = 10;
/** A plugin that is being replaced (an upgrade) is busy for a moment (ETXTBSY). */
const BUSY_PAUSES = [20, 50, 100, 250, 500, 1000];

/**
 * Runs a program in a session of its own, so that a stuck one can be killed with all its children.
 *
 * @throws what Deno.Command throws when it cannot be started
 */
export const runProgram: RunProgram = async (path, options) =>
  await runToEnd(await spawnDetached(path, options), options);

/** Takes a program that was started to its end, and gives what came of it. */
export async function runToEnd(
  child: Deno.ChildProcess,
  options: ProgramOptions,
): Promise<ProgramOutcome> {
  let killed: string | undefined;
  const kill = (why: string) => {
    killed ??= why;
    killGroup(child.pid);
    try {
      // A launcher that has not come to it leads no group yet.
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
  };
  const timer = setTimeout(
    () => kill(`it did not end within ${options.timeout} ms`),
    options.timeout,
  );
  const abort = () => kill("it was cancelled");
  options.signal.addEventListener("abort", abort, { once: true });
  if (options.signal.aborted) abort();
  const ended = new AbortController();
  try {
    const stdout = collect(child.stdout, ended.signal, {
      limit: STDOUT_LIMIT,
      exceeded: () => kill(`it printed more than ${STDOUT_LIMIT} bytes`),
    });
    const stderr = collect(child.stderr, ended.signal, { tail: STDERR_TAIL });
    void feed(child.stdin, options.stdin);
    const { code, signal } = await child.status;
    // Whoever ended it did not end what it had started, which may hold locks and hang.
    if (signal) killGroup(child.pid);
    // Children that it left behind may hold its output open.
    const stopWaiting = abortLater(ended);
    const [out, err] = await Promise.all([stdout, stderr]);
    stopWaiting();
    return {
      code,
      ...(signal && { signal }),
      stdout: out,
      stderr: new TextDecoder().decode(err).trim(),
      ...(killed !== undefined && { killed }),
    };
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", abort);
    ended.abort();
    if (killed !== undefined) kill(killed);
  }
}

/** Aborts after a while. @returns what prevents it */
function abortLater(ended: AbortController): () => void {
  let turns = 0;
  let timer = setTimeout(next, LINGER_MS / LINGER_TURNS);
  function next(): void {
    if (++turns === LINGER_TURNS) ended.abort();
    else timer = setTimeout(next, LINGER_MS / LINGER_TURNS);
  }
  return () => clearTimeout(timer);
}

/** @param leader the session's, which gives its process group its id */
function killGroup(leader: number): void {
  try {
    Deno.kill(-leader, "SIGKILL");
  } catch (error) {
    // Nobody is left in it.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Starts a program with nothing of this process's environment. @throws what Deno.Command throws */
export function spawnProgram(
  path: string,
  { env, args = [], detached = false }: {
    readonly env: ProgramOptions["env"];
    readonly args?: readonly string[];
    /** In a session of its own. */
    readonly detached?: boolean;
  },
): Deno.ChildProcess {
  return new Deno.Command(path, {
    args: [...args],
    clearEnv: true,
    env: { ...env },
    detached,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function spawnDetached(path: string, { env }: ProgramOptions): Promise<Deno.ChildProcess> {
  for (let attempt = 0;; attempt++) {
    try {
      return spawnProgram(path, { env, detached: true });
    } catch (error) {
      if (!isBusy(error) || !await busyPause(attempt)) throw error;
    }
  }
}

/** Waits until a busy program should be tried again; false when it was tried often enough. */
export async function busyPause(attempt: number): Promise<boolean> {
  const pause = BUSY_PAUSES[attempt];
  if (pause === undefined) return false;
  await new Promise((resolve) => setTimeout(resolve, pause));
  return true;
}

/** ETXTBSY: someone has the program open for writing. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && /text file busy|os error 26\b/i.test(error.message);
}

async function feed(stdin: WritableStream<Uint8Array>, bytes: Uint8Array): Promise<void> {
  try {
    const writer = stdin.getWriter();
    await writer.write(bytes);
    await writer.close();
  } catch {
    // A plugin need not read its input; what it makes of that shows in its answer.
  }
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  ended: AbortSignal,
  { limit = Infinity, tail = Infinity, exceeded }: {
    readonly limit?: number;
    readonly tail?: number;
    readonly exceeded?: () => void;
  },
): Promise<Uint8Array> {
  // Into a small buffer that is used again: by itself a stream takes 64 KB for each read, and the
  // collection of that garbage cost more than the reading.
  const reader = stream.getReader({ mode: "byob" });
  const cancel = () => void reader.cancel().catch(() => {});
  ended.addEventListener("abort", cancel, { once: true });
  let bytes = new Uint8Array(0);
  let buffer = new ArrayBuffer(CHUNK);
  try {
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done || !value) return bytes;
      buffer = value.buffer as ArrayBuffer;
      const all = new Uint8Array(bytes.length + value.length);
      all.set(bytes);
      all.set(value, bytes.length);
      bytes = all.length > tail ? all.slice(-tail) : all;
      if (bytes.length > limit) {
        exceeded?.();
        return bytes;
      }
    }
  } finally {
    ended.removeEventListener("abort", cancel);
    await reader.cancel().catch(() => {});
  }
}
