import { join } from "node:path";

/** It ends within this after SIGTERM, or is killed, in milliseconds. */
const END_LIMIT = 15_000;

export interface DaemonOptions {
  /** Stands before its command, where it is to run on another node. */
  readonly enter?: readonly string[];
  readonly program: string;
  readonly args: readonly string[];
  /** Where its log is kept. */
  readonly logs: string;
}

/** A program that runs in the background and writes a log. */
export class Daemon {
  readonly #log: string;
  readonly #process: Deno.ChildProcess;
  readonly #copied: Promise<unknown>;
  #ended = false;

  private constructor(process: Deno.ChildProcess, log: string) {
    this.#process = process;
    this.#log = log;
    this.#copied = Promise.all([copy(process.stdout, log), copy(process.stderr, log)]);
    process.status.then(() => this.#ended = true);
  }

  static start(name: string, { enter = [], program, args, logs }: DaemonOptions): Daemon {
    const [first, ...rest] = [...enter, program, ...args];
    const process = new Deno.Command(first!, {
      args: rest,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Daemon(process, join(logs, `${name}.log`));
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The last lines of its log. */
  async log(): Promise<string> {
    return (await Deno.readTextFile(this.#log)).split("\n").slice(-25).join("\n");
  }

  /** It does nothing, and keeps its connections, until it is resumed. */
  pause(): void {
    this.#process.kill("SIGSTOP");
  }

  resume(): void {
    this.#process.kill("SIGCONT");
  }

  async end(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    if (!this.#ended) this.#process.kill(signal);
    const limit = setTimeout(() => this.#process.kill("SIGKILL"), END_LIMIT);
    await this.#process.status;
    clearTimeout(limit);
    await this.#copied;
  }
}

async function copy(from: ReadableStream<Uint8Array>, path: string): Promise<void> {
  const file = await Deno.open(path, { create: true, append: true });
  await from.pipeTo(file.writable);
}
