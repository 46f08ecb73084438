import { join } from "node:path";
import { CniError, type Command } from "./error.ts";
import type { ProgramOutcome, RunProgram } from "./program.ts";

export interface PluginsOptions {
  /** Folders in which plugins are looked for, in this order. */
  readonly cniPath: readonly string[];
  /** Milliseconds for one operation of one plugin. */
  readonly timeout: number;
  /** Variables that plugins get besides CNI's own, such as PATH (they look up iptables). */
  readonly env: Readonly<Record<string, string>>;
  readonly run: RunProgram;
}

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

/** The CNI plugins of the node: finds and runs them, and reads their answers and errors. */
export class Plugins {
  readonly #options: PluginsOptions;
  /** VERSION takes 8 ms; a program that did not change answers the same. */
  readonly #versions = new Map<string, Promise<readonly string[]>>();

  constructor(options: PluginsOptions) {
    this.#options = options;
  }

  get cniPath(): readonly string[] {
    return this.#options.cniPath;
  }

  /** The path of a plugin's program. @throws CniError that says where it was looked for */
  async find(
    type: string,
    about: { readonly command: Command; readonly network?: string },
  ): Promise<string> {
    for (const folder of this.#options.cniPath) {
      const path = join(folder, type);
      if (await isFile(path)) return path;
    }
    throw new CniError(
      `it is in none of the folders ${this.#options.cniPath.join(", ")}: install it on the node, ` +
        "or start the agent with --cni-path",
      { plugin: type, ...about },
    );
  }

  /** Runs one command; gives what the plugin printed, as JSON. @throws CniError */
  async call(call: PluginCall): Promise<unknown> {
    const { command, type, network, env, stdin, signal } = call;
    const about = { plugin: type, network, command };
    const path = await this.find(type, about);
    let outcome: ProgramOutcome;
    try {
      outcome = await this.#options.run(path, {
        env: { ...this.#options.env, ...env },
        stdin: new TextEncoder().encode(JSON.stringify(stdin)),
        timeout: this.#options.timeout,
        signal,
      });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new CniError(`${path} cannot be run: ${why}`, { ...about, cause });
    }
    const text = new TextDecoder().decode(outcome.stdout).trim();
    if (outcome.killed !== undefined) {
      throw new CniError(withStderr(`${outcome.killed} and was killed`, outcome), about);
    }
    if (outcome.code !== 0) throw failure(text, { outcome, about });
    if (text === "") return undefined;
    try {
      return JSON.parse(text);
    } catch (cause) {
      const start = JSON.stringify(text.slice(0, 80));
      throw new CniError(withStderr(`it printed no JSON: ${start}`, outcome), { ...about, cause });
    }
  }

  /** The versions of the SPEC that a plugin speaks. @throws CniError */
  async versions(
    type: string,
    about: { readonly network?: string; readonly signal: AbortSignal },
  ): Promise<readonly string[]> {
    const path = await this.find(type, { command: "VERSION", network: about.network });
    const { mtime, size, ino } = await Deno.stat(path);
    const key = `${path} ${mtime?.getTime()} ${size} ${ino}`;
    let versions = this.#versions.get(key);
    if (!versions) {
      versions = this.#askVersions(type, about);
      this.#versions.set(key, versions);
      versions.catch(() => this.#versions.delete(key));
    }
    return await versions;
  }

  async #askVersions(
    type: string,
    { network, signal }: { readonly network?: string; readonly signal: AbortSignal },
  ): Promise<readonly string[]> {
    const answer = await this.call({
      command: "VERSION",
      type,
      network,
      // Old plugins look at all variables before they look at the command.
      env: {
        CNI_COMMAND: "VERSION",
        CNI_CONTAINERID: "dummy",
        CNI_NETNS: "dummy",
        CNI_IFNAME: "dummy",
        CNI_PATH: "dummy",
      },
      stdin: { cniVersion: "1.1.0" },
      signal,
    });
    const versions = (answer as { supportedVersions?: unknown } | undefined)?.supportedVersions;
    if (Array.isArray(versions)) return versions.filter((version) => typeof version === "string");
    throw new CniError("it does not say which versions it supports", {
      plugin: type,
      network,
      command: "VERSION",
    });
  }
}

/** The error of a plugin that exited with another code than 0. */
function failure(
  stdout: string,
  { outcome, about }: {
    readonly outcome: ProgramOutcome;
    readonly about: {
      readonly plugin: string;
      readonly network?: string;
      readonly command: Command;
    };
  },
): CniError {
  const said = errorObject(stdout);
  if (said) {
    const details = said.details ? `; ${said.details}` : "";
    return new CniError(withStderr(`${said.msg}${details}`, outcome), {
      ...about,
      code: said.code,
    });
  }
  if (outcome.stderr !== "") {
    return new CniError(`netplugin failed: ${JSON.stringify(tail(outcome.stderr))}`, about);
  }
  const status = outcome.signal ? `signal ${outcome.signal}` : `exit status ${outcome.code}`;
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

function withStderr(problem: string, { stderr }: ProgramOutcome): string {
  return stderr === "" ? problem : `${problem} (stderr: ${JSON.stringify(tail(stderr))})`;
}

function tail(text: string): string {
  return text.length > STDERR_SHOWN ? `…${text.slice(-STDERR_SHOWN)}` : text;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}
