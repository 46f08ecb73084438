import { join } from "node:path";
import type { Clock } from "../async/clock.ts";
import { WarnOnce } from "../async/warn_once.ts";
import type { Log } from "../agent/ports.ts";
import { removeDurably, writeDurably } from "../files/durable.ts";
import { assertRealFolder, makeOwnFolder } from "../files/own_folder.ts";
import { STATE_PATHS } from "../files/state_paths.ts";
import { errorMessage } from "../async/error_message.ts";

const REQUEST = ".request.json";
const ANSWER = ".answer.json";
/** How often the agent looks for requests, and who made one for the answer. */
const LOOK_INTERVAL_MS = 1_000;
const ANSWER_INTERVAL_MS = 100;
/** An answer that nobody came for goes after this. */
const ANSWER_LIFE_MS = 600_000;

/** What came of a request. */
export interface ForgetAnswer {
  readonly done: boolean;
  /** What was done, or why not. */
  readonly message: string;
}

/**
 * Asks the agent that runs on this node to forget a claim. Whoever may write to the state folder may.
 *
 * @returns undefined when no agent answered before the signal was aborted; the request then stays,
 * and the next agent carries it out
 */
export async function requestForget(
  stateDir: string,
  { claim, clock, signal }: {
    /** UID, or `namespace/name`. */
    readonly claim: string;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<ForgetAnswer | undefined> {
  const folder = join(stateDir, STATE_PATHS.requests);
  await makeOwnFolder(folder);
  const id = crypto.randomUUID();
  await writeDurably(join(folder, `${id}${REQUEST}`), JSON.stringify({ claim }) + "\n");
  const path = join(folder, `${id}${ANSWER}`);
  while (!signal.aborted) {
    try {
      const answer = JSON.parse(await Deno.readTextFile(path)) as ForgetAnswer;
      await removeDurably(path);
      return answer;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await clock.sleep(ANSWER_INTERVAL_MS, signal).catch(() => {});
  }
  return undefined;
}

/**
 * Answers the requests of this node's administrator, one after the other, until the signal is aborted.
 *
 * @param forget gives in words what was done; rejects with why not
 */
export async function serveForgetRequests(
  stateDir: string,
  { forget, clock, log, signal }: {
    readonly forget: (claim: string) => Promise<string>;
    readonly clock: Clock;
    readonly log: Log;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const folder = join(stateDir, STATE_PATHS.requests);
  const problem = new WarnOnce(log);
  while (!signal.aborted) {
    try {
      for (const name of await names(folder)) {
        if (signal.aborted) return;
        const path = join(folder, name);
        if (name.endsWith(ANSWER)) await removeOld(path, clock.now());
        if (!name.endsWith(REQUEST)) continue;
        const answer = await carryOut(path, forget);
        const answerPath = `${path.slice(0, -REQUEST.length)}${ANSWER}`;
        await writeDurably(answerPath, JSON.stringify(answer) + "\n");
        await removeDurably(path);
        log.info("answered a request to forget a claim", { ...answer });
      }
      problem.over();
    } catch (error) {
      problem.say("cannot answer the requests to forget claims", {
        folder,
        error: errorMessage(error),
      });
    }
    await clock.sleep(LOOK_INTERVAL_MS, signal).catch(() => {});
  }
}

async function carryOut(
  path: string,
  forget: (claim: string) => Promise<string>,
): Promise<ForgetAnswer> {
  try {
    const { claim } = JSON.parse(await Deno.readTextFile(path));
    if (typeof claim !== "string") throw new Error(`${path} names no claim`);
    return { done: true, message: await forget(claim) };
  } catch (error) {
    return { done: false, message: errorMessage(error) };
  }
}

async function removeOld(path: string, now: Date): Promise<void> {
  const { mtime } = await Deno.stat(path);
  if (mtime && now.getTime() - mtime.getTime() > ANSWER_LIFE_MS) await removeDurably(path);
}

/** Of files only: a link may lead anywhere, and who reads a pipe may wait forever. */
async function names(folder: string): Promise<string[]> {
  try {
    assertRealFolder(folder);
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.filter(({ isFile }) => isFile).map(({ name }) => name).toSorted();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
