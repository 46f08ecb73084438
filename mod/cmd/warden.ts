import { assertNamespacePath, namespaceFolders, pluginRunner } from "../cni/plugin_runner.ts";
import type { ProgramOptions, ProgramOutcome, RunProgram } from "../cni/program.ts";
import type { Interfaces } from "../agent/model.ts";
import { grepAll } from "../inventory/sysfs.ts";
import type { Confinement } from "./confinement.ts";
import type { RunConfig } from "./run_config.ts";
import type { SettingStatus } from "../status/document.ts";
import type { ListInterfaces } from "../netns/interface_lister.ts";
import { errorMessage } from "../async/error_message.ts";

/** The prefix that Deno writes before the message of an uncaught error. */
const UNCAUGHT = /^Uncaught (?:\(in promise\) )?(?:\w+: )?/;

/** Requests from the confined part to the warden. */
export type Request =
  /** It is listening; messages that were sent earlier are lost. */
  | { readonly kind: "here" }
  | {
    readonly kind: "run";
    readonly id: number;
    readonly path: string;
    readonly options: Omit<ProgramOptions, "signal">;
  }
  | { readonly kind: "read"; readonly id: number; readonly paths: readonly string[] }
  | { readonly kind: "interfaces"; readonly id: number; readonly path: string }
  | { readonly kind: "abort"; readonly id: number }
  | { readonly kind: "exit"; readonly code: number };

/** Messages from the warden to the confined part. */
export type Message =
  | {
    readonly kind: "start";
    readonly config: RunConfig;
    readonly settings: readonly SettingStatus[];
  }
  | { readonly kind: "signal"; readonly name: string }
  | { readonly kind: "ran"; readonly id: number; readonly outcome: ProgramOutcome }
  | { readonly kind: "texts"; readonly id: number; readonly texts: ReadonlyMap<string, string> }
  | {
    readonly kind: "listed";
    readonly id: number;
    readonly interfaces: Interfaces | undefined;
  }
  | { readonly kind: "failed"; readonly id: number; readonly error: string };

/**
 * Keeps the agent confined: everything that handles the kubelet, the runtime, the API server and
 * the plugins' output runs in a worker that may access only what its settings name and may not run
 * programs. The warden runs plugins for it, but nothing else.
 */
export class Warden {
  readonly #run: RunProgram;
  readonly #interfaces: ListInterfaces;
  readonly #namespaces: readonly string[];
  readonly #worker: Worker;
  readonly #running = new Map<number, AbortController>();
  readonly #ended = Promise.withResolvers<number>();
  /** Messages for the worker until it listens; undefined from then on. */
  #untold: Message[] | undefined = [];

  /**
   * @param settings the configuration's settings, and the source of each
   * @param run runs programs: only plugins, and with what {@link pluginRunner} gives them
   * @param interfaces lists interfaces: only in the namespaces of pods
   * @param code URL of the worker's module
   */
  constructor(
    config: RunConfig,
    { settings = [], run, interfaces, code, confinement }: {
      readonly settings?: readonly SettingStatus[];
      readonly run: RunProgram;
      readonly interfaces: ListInterfaces;
      readonly code: string;
      readonly confinement: Confinement;
    },
  ) {
    const { cniPath, netnsDir } = config;
    this.#run = pluginRunner({ cniPath, netnsDir, run });
    this.#interfaces = interfaces;
    this.#namespaces = namespaceFolders(netnsDir);
    this.#worker = new Worker(code, {
      type: "module",
      name: "agent",
      deno: { permissions: confinement },
    } as WorkerOptions);
    this.#worker.onmessage = ({ data }) => void this.#answer(data as Request);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#ended.reject(new Error(errorMessage(new Error(event.message.replace(UNCAUGHT, "")))));
    };
    this.#tell({ kind: "start", config, settings });
  }

  /** Its exit code. Rejects if it ended with an uncaught error. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  signal(name: string): void {
    this.#tell({ kind: "signal", name });
  }

  #tell(message: Message): void {
    if (this.#untold) this.#untold.push(message);
    else this.#worker.postMessage(message);
  }

  #tellAll(): void {
    const untold = this.#untold ?? [];
    this.#untold = undefined;
    for (const message of untold) this.#tell(message);
  }

  async #answer(request: Request): Promise<void> {
    if (request.kind === "here") return this.#tellAll();
    if (request.kind === "exit") return this.#ended.resolve(request.code);
    const { id } = request;
    if (request.kind === "abort") return this.#running.get(id)?.abort();
    const stop = new AbortController();
    this.#running.set(id, stop);
    try {
      if (request.kind === "read") {
        this.#assertSysfs(request.paths);
        const texts = await grepAll(request.paths, stop.signal);
        this.#tell({ kind: "texts", id, texts });
      } else if (request.kind === "interfaces") {
        assertNamespacePath(request.path, this.#namespaces);
        const interfaces = await this.#interfaces(request.path, stop.signal);
        this.#tell({ kind: "listed", id, interfaces });
      } else {
        const { path, options } = request;
        const outcome = await this.#run(path, { ...options, signal: stop.signal });
        this.#tell({ kind: "ran", id, outcome });
      }
    } catch (error) {
      this.#tell({
        kind: "failed",
        id,
        error: errorMessage(error),
      });
    } finally {
      this.#running.delete(id);
    }
  }

  #assertSysfs(paths: readonly string[]): void {
    const foreign = paths.find((path) =>
      !/^\/sys\/devices\/[^\0]*$/.test(path) || /\.\./.test(path)
    );
    if (foreign !== undefined) throw new Error(`${foreign} is not a file of a device`);
  }
}

/** The warden's client in the worker. */
export class WardenClient {
  readonly #post: (request: Request) => void;
  readonly #waiting = new Map<number, Waiting>();
  #ids = 0;

  constructor(post: (request: Request) => void) {
    this.#post = post;
  }

  /** Runs a plugin; the environment contains only the variables of the operation. */
  readonly run: RunProgram = (path, { signal, ...options }) =>
    this.#ask<ProgramOutcome>((id) => ({ kind: "run", id, path, options }), signal);

  /** As {@link grepAll}. */
  readonly read = (paths: readonly string[], signal: AbortSignal): Promise<Map<string, string>> =>
    this.#ask((id) => ({ kind: "read", id, paths }), signal);

  /** The interfaces in a pod's network namespace. */
  readonly interfaces: ListInterfaces = (path, signal) =>
    this.#ask((id) => ({ kind: "interfaces", id, path }), signal);

  take(message: Message): void {
    if (message.kind === "start" || message.kind === "signal") return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === "failed") waiting?.reject(new Error(message.error));
    else waiting?.resolve(answerOf(message));
  }

  async #ask<T>(request: (id: number) => Request, signal: AbortSignal): Promise<T> {
    const id = ++this.#ids;
    const answer = Promise.withResolvers<T>();
    this.#waiting.set(id, answer as Waiting);
    const abort = () => this.#post({ kind: "abort", id });
    this.#post(request(id));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    try {
      return await answer.promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

function answerOf(message: Message & { readonly kind: "ran" | "texts" | "listed" }): unknown {
  switch (message.kind) {
    case "ran":
      return message.outcome;
    case "texts":
      return message.texts;
    case "listed":
      return message.interfaces;
  }
}
