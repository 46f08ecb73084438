import { ReadError } from "../cluster/ports.ts";
import type { AgentContainer, DumpSource, LogRequest, ProgramOutput } from "../sysdump/ports.ts";
import type { KubeConnection } from "./connection.ts";
import { KubeError } from "./error.ts";
import { execInPod } from "./exec.ts";
import { KubeObjectSource } from "./object_source.ts";

/** All of a log has come within this, or it is given up; in milliseconds. */
const LOG_LIMIT_MS = 60_000;
/** A program in a container has ended within this. */
const EXEC_LIMIT_MS = 20_000;

/** What an archive for a bug report is filled from, with a user's own rights. */
export class KubeDumpSource implements DumpSource {
  readonly #connection: KubeConnection;
  readonly #objects: KubeObjectSource;

  constructor(connection: KubeConnection) {
    this.#connection = connection;
    this.#objects = new KubeObjectSource(connection);
  }

  async *pages(path: string, signal: AbortSignal): AsyncGenerator<readonly unknown[]> {
    for await (const { items } of this.#objects.list(path, signal)) yield items;
  }

  async get(path: string, signal: AbortSignal): Promise<unknown> {
    return await this.#connection.request({ method: "GET", path, signal })
      .catch((error) => {
        throw readError(error, `read ${path}`);
      });
  }

  async log({ namespace, pod, container, previous, sinceSeconds, most, signal }: LogRequest) {
    const query = new URLSearchParams({
      container,
      previous: `${previous}`,
      sinceSeconds: `${sinceSeconds}`,
    });
    const path = `${podPath(namespace, pod)}/log?${query}`;
    return await this.#connection.tail({ path, most, limit: LOG_LIMIT_MS, signal })
      .catch((error) => {
        throw readError(error, `read the log of pod ${namespace}/${pod}`);
      });
  }

  async exec(
    container: AgentContainer,
    { command, most, signal }: {
      readonly command: readonly string[];
      readonly most: number;
      readonly signal: AbortSignal;
    },
  ): Promise<ProgramOutput> {
    const { namespace, pod } = container;
    const what = `run a program in pod ${namespace}/${pod}`;
    const until = AbortSignal.any([signal, AbortSignal.timeout(EXEC_LIMIT_MS)]);
    const { end, stdout, stderr, cut } = await execInPod(this.#connection, {
      ...container,
      command,
      most,
      signal: until,
    }).catch((error) => {
      throw readError(error, what);
    });
    if (end.state === "failed") throw new ReadError("failed", `cannot ${what}: ${end.problem}`);
    if (cut) throw new ReadError("failed", `${what}: its output is longer than ${most} bytes`);
    return { stdout, stderr };
  }
}

function podPath(namespace: string, pod: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}`;
}

/** @param what such as "read the log of pod a/b" */
function readError(error: unknown, what: string): unknown {
  if (!(error instanceof KubeError)) return error;
  const { status, problem } = error;
  const as = { cause: error };
  if (status === 403) {
    return new ReadError("forbidden", `you have no right to ${what} (${problem})`, as);
  }
  return new ReadError(
    status === undefined ? "unanswered" : "failed",
    `cannot ${what}: ${problem}`,
    as,
  );
}
