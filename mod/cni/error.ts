/** The commands of the CNI SPEC. */
export type Command = "ADD" | "DEL" | "CHECK" | "GC" | "STATUS" | "VERSION";

export interface CniErrorDetails {
  /** The plugin's error code (CNI SPEC, section 5); undefined when it gave none. */
  readonly code?: number;
  readonly plugin: string;
  readonly network?: string;
  readonly command: Command;
  readonly cause?: unknown;
}

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
    super(`plugin type=${JSON.stringify(plugin)}${of} failed (${verb}): ${problem}`, { cause });
    this.code = code;
    this.plugin = plugin;
    this.network = network;
    this.command = command;
  }
}
