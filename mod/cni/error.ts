/** The commands of the CNI SPEC. */
export type Command = "ADD" | "DEL" | "CHECK" | "GC" | "STATUS" | "VERSION";

/** Which operation of which plugin failed, and with which code. */
export interface CniErrorDetails {
  /** The plugin's error code (CNI SPEC, section 5); undefined when it gave none. */
  readonly code?: number;
  readonly plugin: string;
  readonly network?: string;
  readonly command: Command;
  readonly cause?: unknown;
}

/** What a message repeats of what a plugin said: it goes into logs, Events and a claim's status. */
const LONGEST = 4096;

/** A CNI operation that failed: which plugin of which network, and what it said. */
export class CniError extends Error {
  override readonly name = "CniError";
  readonly code?: number;
  readonly plugin: string;
  readonly network?: string;
  readonly command: Command;

  constructor(problem: string, { code, plugin, network, command, cause }: CniErrorDetails) {
    const of = network === undefined ? "" : ` name=${JSON.stringify(network)}`;
    const verb = { ADD: "add", DEL: "delete" }[command as string] ?? command.toLowerCase();
    super(`plugin type=${JSON.stringify(plugin)}${of} failed (${verb}): ${shortened(problem)}`, {
      cause,
    });
    this.code = code;
    this.plugin = plugin;
    this.network = network;
    this.command = command;
  }
}

/** The cause stands at the end of some messages and at the beginning of others: both ends stay. */
export function shortened(message: string): string {
  if (message.length <= LONGEST) return message;
  return `${message.slice(0, LONGEST / 2)}…${message.slice(-LONGEST / 2)}`;
}
