import { CniError, type CniErrorDetails, type Command } from "./error.ts";
import type { PluginFolders } from "./plugin_folders.ts";
import type { ProgramOutcome, RunProgram } from "./program.ts";
import { errorMessage } from "../async/error_message.ts";

/** How plugins are run. */
export interface PluginsOptions {
  readonly folders: PluginFolders;
  /** Milliseconds for one operation of one plugin. */
  readonly timeout: number;
  /** Runs a plugin with the CNI variables of an operation (see pluginRunner). */
  readonly run: RunProgram;
  /** A plugin's program was run, and answered well or not. */
  readonly onRun?: (operation: PluginRun) => void;
}

/** One run of a plugin, for metrics and traces. */
export interface PluginRun {
  readonly plugin: string;
  readonly command: Command;
  readonly result: "ok" | "error";
  readonly seconds: number;
  /** The variables of CNI that it was run with. */
  readonly env: Readonly<Record<string, string>>;
  /** Why it failed, where it did. */
  readonly error?: string;
}

/** One operation of one plugin (CNI SPEC, section 2). */
export interface PluginCall {
  readonly command: Command;
  readonly type: string;
  readonly network?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: unknown;
  readonly signal: AbortSignal;
}

/** The last of what a plugin wrote to stderr that an error repeats, in characters. */
const STDERR_SHOWN = 500;

/** The beginning of what a plugin printed instead of JSON that an error repeats, in characters. */
const STDOUT_SHOWN = 80;

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** The CNI plugins of the node: finds and runs them, and reads their answers and errors. */
export class Plugins {
  readonly #options: PluginsOptions;
  /** VERSION takes 8 ms; a program that did not change answers the same. */
  readonly #versions = new Map<string, readonly string[]>();

  constructor(options: PluginsOptions) {
    this.#options = options;
  }

  /** A plugin's program. @throws CniError that says where it was looked for */
  #find(
    type: string,
    about: { readonly command: Command; readonly network?: string },
  ): { readonly path: string; readonly stamp: string } {
    const { folders } = this.#options;
    const program = folders.find(type);
    if (program) return program;
    throw new CniError(
      `it is in none of the folders ${folders.paths.join(", ")}: install it on the node, ` +
        "or start the agent with --cni-path",
      { plugin: type, ...about },
    );
  }

  /** Whether the plugin is on the node. */
  has(type: string): boolean {
    return this.#options.folders.find(type) !== undefined;
  }

  /** Runs a command that has an answer; undefined when the plugin printed nothing. @throws CniError */
  ask(call: PluginCall): Promise<unknown> {
    return this.#observe(call, async (path) => this.#answerOf(call, await this.#run(path, call)));
  }

  /** Runs a command; what the plugin prints when it succeeds need not be JSON. @throws CniError */
  async call(call: PluginCall): Promise<void> {
    await this.#observe(call, (path) => this.#run(path, call));
  }

  #answerOf(call: PluginCall, outcome: ProgramOutcome): unknown {
    const text = printed(outcome);
    if (text === "") return undefined;
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new CniError(withStderr(`it did not print JSON: ${start(text)}`, outcome), {
        ...aboutOf(call),
        cause,
      });
    }
  }

  /** Only what is on the node is run, and so counted: names that claims make up are not. */
  async #observe<T>(call: PluginCall, run: (path: string) => Promise<T>): Promise<T> {
    const { path } = this.#find(call.type, aboutOf(call));
    const began = performance.now();
    const ran = (result: PluginRun["result"], error?: string) => {
      const seconds = (performance.now() - began) / 1000;
      const { type: plugin, command, env } = call;
      this.#options.onRun?.({ plugin, command, result, seconds, env, error });
    };
    try {
      const answer = await run(path);
      ran("ok");
      return answer;
    } catch (error) {
      ran("error", errorMessage(error));
      throw error;
    }
  }

  async #run(path: string, call: PluginCall): Promise<ProgramOutcome> {
    const { env, stdin, signal } = call;
    const about = aboutOf(call);
    let outcome: ProgramOutcome;
    try {
      outcome = await this.#options.run(path, {
        env,
        stdin: ENCODER.encode(JSON.stringify(stdin)),
        timeout: this.#options.timeout,
        signal,
      });
    } catch (cause) {
      const why = errorMessage(cause);
      throw new CniError(`${path} cannot be run: ${why}`, { ...about, cause });
    }
    if (outcome.killed !== undefined) {
      throw new CniError(withStderr(`${outcome.killed} and was killed`, outcome), about);
    }
    if (outcome.code !== 0) throw failure(outcome, about);
    return outcome;
  }

  /** The versions of the SPEC that a plugin speaks. @throws CniError */
  async versions(
    type: string,
    about: { readonly network?: string; readonly signal: AbortSignal },
  ): Promise<readonly string[]> {
    const { stamp } = this.#find(type, { command: "VERSION", network: about.network });
    // Only answers are kept: who asks at the same time asks for itself, or one who gives up would
    // take the answer from the others.
    const versions = this.#versions.get(stamp) ?? await this.#askVersions(type, about);
    this.#versions.set(stamp, versions);
    return versions;
  }

  async #askVersions(
    type: string,
    { network, signal }: { readonly network?: string; readonly signal: AbortSignal },
  ): Promise<readonly string[]> {
    const call: PluginCall = {
      command: "VERSION",
      type,
      network,
      // Old plugins look at all variables before they look at the command.
      env: {
        CNI_COMMAND: "VERSION",
        CNI_CONTAINERID: "dummy",
        CNI_NETNS: "dummy",
        CNI_IFNAME: "dummy",
      },
      stdin: { cniVersion: "1.1.0" },
      signal,
    };
    const answer = await this.ask(call).catch((error: unknown) => {
      // What plugins say that are older than the command, which came with 0.2.0.
      const unknown = error instanceof CniError &&
        error.message.includes("unknown CNI_COMMAND: VERSION");
      if (unknown) return { supportedVersions: ["0.1.0"] };
      throw error;
    });
    const { cniVersion, supportedVersions } = (answer ?? {}) as Record<string, unknown>;
    if (Array.isArray(supportedVersions)) {
      return supportedVersions.filter((version) => typeof version === "string");
    }
    if (cniVersion === "0.2.0") return ["0.1.0", "0.2.0"];
    throw new CniError("it does not say which versions it supports", aboutOf(call));
  }
}

/** Which operation an error is about. */
function aboutOf({ command, type, network }: PluginCall): CniErrorDetails {
  return { command, plugin: type, network };
}

/** The error of a plugin that exited with another code than 0. */
function failure(outcome: ProgramOutcome, about: CniErrorDetails): CniError {
  const text = printed(outcome);
  const said = errorObject(text);
  if (said) {
    const details = said.details ? `; ${said.details}` : "";
    return new CniError(withStderr(`${said.msg}${details}`, outcome), {
      ...about,
      code: said.code,
    });
  }
  if (text !== "") {
    const problem = `netplugin failed, and printed no error object but ${start(text)}`;
    return new CniError(withStderr(problem, outcome), about);
  }
  const status = outcome.signal ? `signal ${outcome.signal}` : `exit status ${outcome.code}`;
  if (outcome.stderr !== "") {
    const said = JSON.stringify(tail(outcome.stderr));
    return new CniError(`netplugin failed: ${said}: ${status}`, about);
  }
  return new CniError(`netplugin failed with no error message: ${status}`, about);
}

/** The error object of CNI SPEC, section 5. */
function errorObject(stdout: string): { code?: number; msg: string; details?: string } | undefined {
  try {
    const { code, msg, details } = JSON.parse(stdout);
    if (typeof msg !== "string") return undefined;
    return {
      ...(typeof code === "number" && { code }),
      msg,
      ...(typeof details === "string" && { details }),
    };
  } catch {
    return undefined;
  }
}

function printed({ stdout }: ProgramOutcome): string {
  return DECODER.decode(stdout).trim();
}

function start(text: string): string {
  return JSON.stringify(text.slice(0, STDOUT_SHOWN));
}

function withStderr(problem: string, { stderr }: ProgramOutcome): string {
  return stderr === "" ? problem : `${problem} (stderr: ${JSON.stringify(tail(stderr))})`;
}

function tail(text: string): string {
  return text.length > STDERR_SHOWN ? `…${text.slice(-STDERR_SHOWN)}` : text;
}
