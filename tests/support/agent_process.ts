import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };

const ROOT = new URL("../..", import.meta.url).pathname;

/** The arguments with which `deno task run` runs the agent, its permissions among them. */
export function agentArguments(): string[] {
  const [deno, ...args] = config.tasks.run.split(" ");
  if (deno !== "deno") throw new Error(`deno.json: tasks.run begins with ${deno}`);
  return args.map((arg) => arg === "main.ts" ? join(ROOT, "main.ts") : arg);
}

/** The agent ends within this, or a test fails, in milliseconds: an operation may still run. */
const END_LIMIT = 15_000;

/** The same for the bundle that the built file holds (dist/network-dra.js). */
export function bundleArguments(): string[] {
  const flags = agentArguments().slice(0, -2);
  return [...flags, "--no-config", "--no-lock", join(ROOT, "dist/network-dra.js"), "run"];
}

/** The same, as it runs a command for a whole cluster. */
export function pluginArguments(): string[] {
  return bundleArguments().slice(0, -1).filter((flag) => !flag.startsWith("--v8-flags="));
}

interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [key: string]: unknown;
}

/** The agent as a separate process, as it runs on a node. */
export class AgentProcess {
  readonly #process: Deno.ChildProcess;
  readonly lines: LogLine[] = [];
  readonly #waiting = new Set<() => void>();
  #ended = false;
  readonly #read: Promise<void>;

  constructor(
    flags: readonly string[],
    { program = Deno.execPath(), args = agentArguments() } = {},
  ) {
    this.#process = new Deno.Command(program, {
      args: [...args, "--log-level", "debug", "--log-format", "json", ...flags],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#read = this.#collect();
  }

  get pid(): number {
    return this.#process.pid;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves when it has ended: by which signal, or with which code. */
  get done(): Promise<string> {
    return this.#process.status.then(({ signal, code }) => signal ?? `code ${code}`);
  }

  /** Resolves when the runtime and the kubelet know the agent. */
  async ready(): Promise<void> {
    await this.logged("ready");
  }

  /** Resolves when a line with that message was logged. */
  async logged(message: string | RegExp): Promise<LogLine> {
    const matches = ({ msg }: LogLine) =>
      typeof message === "string" ? msg === message : message.test(msg);
    for (;;) {
      const line = this.lines.find(matches);
      if (line) return line;
      if (this.#ended) throw new Error(`the agent ended before it logged ${message}\n${this.log}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Ends it; the exit code. */
  async end(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number> {
    try {
      if (!this.#ended) this.#process.kill(signal);
    } catch {
      // It ended by itself a moment ago.
    }
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      this.#process.kill("SIGKILL");
    }, END_LIMIT);
    const { code } = await this.#process.status;
    clearTimeout(limit);
    await this.#read;
    if (late) throw new Error(`the agent does not end on ${signal}\n${this.log}`);
    return code;
  }

  get log(): string {
    return this.lines.map((line) => JSON.stringify(line)).join("\n");
  }

  async #collect(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.lines.push(parse(line));
      this.#wake();
    }
    this.#ended = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

/** Output that is not a log line (an error of the runtime) is kept as one. */
function parse(line: string): LogLine {
  try {
    return JSON.parse(line);
  } catch {
    return { level: "raw", msg: line };
  }
}
