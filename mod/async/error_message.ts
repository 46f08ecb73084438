/**
 * The message of whatever was thrown, for users. What Deno says of the kernel, of the network and of
 * its permissions is said in the agent's own words.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { errorMessage } from "./error_message.ts";
 *
 * assert.equal(errorMessage(new Error("it is full")), "it is full");
 * try {
 *   Deno.readTextFileSync("/nonexistent/file");
 * } catch (error) {
 *   assert.equal(
 *     errorMessage(error),
 *     "cannot read /nonexistent/file: no such file or directory",
 *   );
 * }
 * ```
 */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Another thread's error comes as a message.
  if (error instanceof Deno.errors.NotCapable || DENIED.test(error.message)) {
    return deniedMessage(error.message);
  }
  if (error.name === "TimeoutError" && error instanceof DOMException) return "timed out";
  if (error instanceof TypeError && error.message === "fetch failed") {
    return requestMessage(errorMessage(error.cause));
  }
  return systemMessage(error.message);
}

/** What was thrown, as an error whose message is that of {@link errorMessage}. */
export function errorForUsers(thrown: unknown): Error {
  const message = errorMessage(thrown);
  const isSaid = thrown instanceof Error && thrown.message === message;
  return isSaid ? thrown : new Error(message, { cause: thrown });
}

/** What Deno says when a path, host or program is outside of what its flags allow. */
const DENIED = /^Requires (\w+) access(?: to "(.*?)")?, run again with the --allow-\w+ flag/s;

/** By Deno's permission: what was tried, and the settings that name what may be used. */
const PERMISSIONS: Readonly<Record<string, { readonly act: string; readonly settings: string }>> = {
  read: {
    act: "read",
    settings: "--netns-dir, --state-dir, --cdi-dir, --kubelet-dir, --cni-path or --network-dir",
  },
  write: { act: "write to", settings: "--state-dir, --cdi-dir or --kubelet-dir" },
  net: { act: "connect to", settings: "--kubeconfig, --nri-socket or --listen" },
};

function deniedMessage(message: string): string {
  const [, permission = "", what = "what it needs"] = message.match(DENIED) ?? [];
  const known = PERMISSIONS[permission];
  // Nothing that a setting could allow: the agent runs plugins only, and by its warden.
  if (!known) return `the agent is not allowed to use ${what}: report this as a bug in network-dra`;
  return `the agent is not allowed to ${known.act} ${what}, because no setting names it: set ` +
    known.settings;
}

/** Of a request: without the address, which the caller names, and the layers of the library. */
function requestMessage(message: string): string {
  return systemMessage(
    message
      .replace(/^error sending request (?:for url \(\S+\)|from \S+ for \S+ \(\S+\)): /, "")
      .replace(/^client error \(\w+\): /, "")
      .replace(/^(?:tcp connect|dns) error: /, ""),
  );
}

/** By the name of Deno's or Node's function, where that is not the word itself. */
const VERBS: Readonly<Record<string, string>> = {
  readfile: "read",
  readdir: "list",
  readlink: "read the link",
  lstat: "look at",
  stat: "look at",
  statfs: "look at",
  mkdir: "create the folder",
  rmdir: "remove the folder",
  symlink: "create the link",
  unlink: "remove",
  writefile: "write",
  chmod: "change the mode of",
};

/** `No such file or directory (os error 2): readfile '/x'`, and as Node.js has it. */
const SYSTEM = [
  /^Failed to (?<verb>spawn) '(?<path>.*)': (?<reason>[^():]+) \(os error \d+\)$/s,
  /^(?<reason>[^():]+) \(os error \d+\)(?:: (?<verb>\w+) '(?<path>.*)')?$/s,
  /^E[A-Z0-9]+: (?<reason>[^,]+), (?<verb>\w+)(?: '(?<path>.*)')?$/s,
] as const;

function systemMessage(message: string): string {
  for (const form of SYSTEM) {
    const { reason, verb, path } = message.match(form)?.groups ?? {};
    if (reason === undefined) continue;
    const said = reason[0]!.toLowerCase() + reason.slice(1);
    if (verb === undefined || path === undefined) return said;
    const act = verb === "spawn" ? "run" : VERBS[verb] ?? verb;
    return `cannot ${act} ${path.replace("' -> '", " to ")}: ${said}`;
  }
  return message;
}
