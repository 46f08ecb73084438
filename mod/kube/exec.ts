import { EXEC_PROTOCOLS, type ExecEnd, parseExecMessage } from "./exec_channels.ts";
import type { KubeConnection } from "./connection.ts";
import { KubeError } from "./error.ts";

/** What is run in a container, without an input and without a terminal. */
export interface ExecRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  /** Bytes of each output that are kept; what comes after them is dropped. */
  readonly most: number;
  readonly signal: AbortSignal;
}

/** How a program ended, and what it has written. */
export interface ExecResult {
  readonly end: ExecEnd;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether one of the outputs was longer than `most`. */
  readonly cut: boolean;
}

/**
 * Runs a program in a container, as `kubectl exec` does. It needs the rights to get and to create
 * pods/exec: which of them is asked for depends on the release of Kubernetes.
 *
 * @throws KubeError where the API server refuses it, or ends it without saying how the program ended
 */
export async function execInPod(
  connection: KubeConnection,
  { namespace, pod, container, command, most, signal }: ExecRequest,
): Promise<ExecResult> {
  const query = new URLSearchParams({ container, stdout: "true", stderr: "true" });
  for (const word of command) query.append("command", word);
  const place = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${
    encodeURIComponent(pod)
  }/exec`;
  const outputs = { stdout: new Kept(most), stderr: new Kept(most) };
  const ended = Promise.withResolvers<void>();
  let end: ExecEnd | undefined;
  const receive = (data: unknown) => {
    const message = parseExecMessage(bytesOf(data));
    if (message.channel === "other") return;
    if (message.channel !== "status") return outputs[message.channel].add(message.bytes);
    end = message.end;
    ended.resolve();
  };
  const socket = await connection.webSocket({
    path: `${place}?${query}`,
    protocols: EXEC_PROTOCOLS,
    on: { message: receive, close: ended.resolve },
    signal,
  });
  const stop = () => ended.reject(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await ended.promise;
  } catch (cause) {
    const problem = `${connection.server} did not say in time how ${command[0]} ended`;
    throw new KubeError({ verb: "GET", path: place, problem, cause });
  } finally {
    signal.removeEventListener("abort", stop);
    socket.close();
  }
  if (end === undefined) {
    const problem = `${connection.server} did not say how ${command[0]} ended`;
    throw new KubeError({ verb: "GET", path: place, problem });
  }
  return {
    end,
    stdout: outputs.stdout.text(),
    stderr: outputs.stderr.text(),
    cut: outputs.stdout.cut || outputs.stderr.cut,
  };
}

function bytesOf(data: unknown): Uint8Array {
  return data instanceof ArrayBuffer
    ? new Uint8Array(data)
    : new TextEncoder().encode(String(data));
}

/** The first bytes of an output. */
class Kept {
  readonly #parts: Uint8Array[] = [];
  #left: number;
  cut = false;

  constructor(most: number) {
    this.#left = most;
  }

  add(bytes: Uint8Array): void {
    const part = bytes.slice(0, this.#left);
    this.#left -= part.length;
    this.#parts.push(part);
    this.cut ||= part.length < bytes.length;
  }

  text(): string {
    const decoder = new TextDecoder();
    return this.#parts.map((part) => decoder.decode(part, { stream: true })).join("") +
      decoder.decode();
  }
}
