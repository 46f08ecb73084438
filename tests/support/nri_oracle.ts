import { buildReleases } from "./go.ts";

/** The releases of NRI that are tested, oldest first, and the module file of each. */
const MODULE_FILES = {
  "v0.6.1": "v0.6.1.mod",
  "v0.8.0": "v0.8.0.mod",
  "v0.9.0": "v0.9.0.mod",
  "v0.10.0": "v0.10.0.mod",
  "v0.11.0": "v0.11.0.mod",
  "v0.12.0": "v0.12.0.mod",
  "v0.12.5": "go.mod",
} as const;
export type NriVersion = keyof typeof MODULE_FILES;
export const NRI_VERSIONS = Object.keys(MODULE_FILES) as NriVersion[];

const SOURCE = new URL("../integration/nri_oracle", import.meta.url).pathname;

export type NriOracles = Readonly<Record<NriVersion, string>> | { readonly missing: string };

/**
 * Builds the runtime's side of each release into the cache, once, and gives the programs' paths. To
 * be called first where the network can be reached. Without Go, or without its modules, it tells why.
 */
export async function fetchNriOracles(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<NriOracles> {
  return await buildReleases(MODULE_FILES, {
    name: "nri-oracle",
    source: SOURCE,
    what: `the runtime sides of ${NRI_VERSIONS.length} releases of NRI`,
    flags: ["-tags", "nri_no_wasm"],
    progress,
  });
}

export interface NriOracleOptions {
  readonly socketPath: string;
  /** What the plugin is granted for an answer, in milliseconds. */
  readonly timeout?: number;
  /** How many pods and containers there are when the plugin connects. */
  readonly pods?: number;
  /** The length of their names. */
  readonly size?: number;
}

/** A real runtime side of NRI, in a separate process (tests/integration/nri_oracle/main.go). */
export class NriOracle {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #said: Said[] = [];
  readonly #read: Promise<void>;
  #wake: () => void = () => {};
  #ended = false;

  private constructor(program: string, { socketPath, timeout, pods, size }: NriOracleOptions) {
    this.#process = new Deno.Command(program, {
      args: [
        `-socket=${socketPath}`,
        `-timeout=${timeout ?? 2000}ms`,
        `-pods=${pods ?? 0}`,
        `-size=${size ?? 0}`,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#read = this.#collect();
  }

  /** Starts it, and waits until plugins can connect. */
  static async start(program: string, options: NriOracleOptions): Promise<NriOracle> {
    const oracle = new NriOracle(program, options);
    await oracle.#next("listening");
    return oracle;
  }

  /** Waits for the next synchronization of a plugin; gives the runtime's error, "" for none. */
  synchronized(): Promise<string> {
    return this.#next("synchronized");
  }

  /** Waits for the next plugin that gets events from now on; gives its index and name. */
  connected(): Promise<string> {
    return this.#next("connected");
  }

  /** Has an event happen; gives the error that the runtime's operation ends with, "" for none. */
  async tell(
    event: "run" | "stop" | "remove" | "create",
    { id, size = 0 }: { readonly id: string; readonly size?: number },
  ): Promise<string> {
    const command = `${JSON.stringify({ do: event, id, size })}\n`;
    await this.#input.write(new TextEncoder().encode(command));
    return await this.#next("error");
  }

  /** Ends it at once, as a runtime ends that crashes. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#read;
    await this.#input.abort();
    await this.#process.status;
  }

  /** Takes the oldest line that has this key, when there is one. */
  async #next(key: keyof Said): Promise<string> {
    for (;;) {
      const at = this.#said.findIndex((line) => line[key] !== undefined);
      if (at >= 0) return this.#said.splice(at, 1)[0]![key]!;
      if (this.#ended) throw new Error(`the runtime ended before it said "${key}"`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async #collect(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      this.#said.push(...lines.map((line) => JSON.parse(line) as Said));
      this.#wake();
    }
    this.#ended = true;
    this.#wake();
  }
}

/** One line of its output. */
interface Said {
  readonly listening?: string;
  readonly synchronized?: string;
  readonly connected?: string;
  readonly error?: string;
}
