import { type ExecOutcome, type ExecPlace, type PodExec, ReadError } from "../cluster/ports.ts";
import type { KubeConnection } from "./connection.ts";
import { KubeError } from "./error.ts";
import { execInPod, type ExecResult } from "./exec.ts";

/** Bytes that a program may print: the status of a node with 5,000 attachments has 5 MB. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Runs programs in containers through the API server, with a user's own rights. */
export class KubePodExec implements PodExec {
  readonly #connection: KubeConnection;

  constructor(connection: KubeConnection) {
    this.#connection = connection;
  }

  async exec(
    place: ExecPlace,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<ExecOutcome> {
    const { end, stdout, stderr, cut } = await this.#run(place, command, signal);
    if (end.state === "failed") throw new ReadError("failed", cannotRun(place, end.problem));
    if (cut) {
      throw new ReadError("failed", cannotRun(place, `it prints more than ${MOST_BYTES} bytes`));
    }
    return { code: end.code, stdout, stderr };
  }

  async #run(
    place: ExecPlace,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<ExecResult> {
    try {
      const most = MOST_BYTES;
      return await execInPod(this.#connection, { ...place, command, most, signal });
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      throw readError(error, place);
    }
  }
}

function readError(error: KubeError, place: ExecPlace): ReadError {
  const { status, problem } = error;
  const as = { cause: error };
  const says = cannotRun(place, problem);
  if (status === undefined) return new ReadError("unanswered", says, as);
  if (status !== 401 && status !== 403) return new ReadError("failed", says, as);
  const cause = status === 401 ? "unauthorized" : "forbidden";
  const where = `the pod ${place.namespace}/${place.pod}`;
  return new ReadError(cause, `you have no right to run programs in ${where} (${problem})`, as);
}

function cannotRun({ namespace, pod }: ExecPlace, problem: string): string {
  return `cannot run a program in the pod ${namespace}/${pod}: ${problem}`;
}
