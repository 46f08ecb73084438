import { getSystemErrorName } from "node:util";
import { busyPause, type RunProgram, runProgram, runToEnd, spawnProgram } from "./program.ts";
import { type LaunchFailure, NOT_LAUNCHED, readFailure } from "./session_launcher.ts";

const ETXTBSY = 26;
const EACCES = 13;
/** Milliseconds. */
const PROBE_TIME = 10_000;

/**
 * As {@link runProgram}, with less effort where the launcher can be used.
 *
 * @param launcher path of what {@link installSessionLauncher} made; undefined where there is none
 */
export function programRunner(launcher: string | undefined): RunProgram {
  return async (path, options) => {
    const child = launcher && spawn(launcher, ["", path, path], options.env);
    const outcome = child && await runToEnd(child, options);
    // The other way says why not, or waits until it can be.
    return outcome && outcome.code !== NOT_LAUNCHED ? outcome : await runProgram(path, options);
  };
}

/** Undefined where the launcher cannot be executed, as on a file system that is mounted noexec. */
function spawn(
  launcher: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Deno.ChildProcess | undefined {
  try {
    return spawnProgram(launcher, { args, env });
  } catch {
    return undefined;
  }
}

/**
 * As {@link runProgram}, in another root folder: paths of programs, and all that they open, are
 * below it.
 */
export function rootedRunner(
  { launcher, root }: { readonly launcher: string; readonly root: string },
): RunProgram {
  return async (path, options) => {
    for (let attempt = 0;; attempt++) {
      const child = spawnProgram(launcher, { args: [root, path, path], env: options.env });
      const outcome = await runToEnd(child, options);
      const failure = readFailure(outcome);
      if (!failure) return outcome;
      if (failure.errno === ETXTBSY && await busyPause(attempt)) continue;
      throw new Error(`${path} in ${root}: ${describe(failure)}`);
    }
  };
}

/**
 * Tries whether plugins can be run in a root folder.
 *
 * @throws Error that says what is missing
 */
export async function assertRoot(
  { launcher, root }: { readonly launcher: string | undefined; readonly root: string },
): Promise<void> {
  const fail = (why: string): never => {
    throw new Error(`--chroot-dir ${root}: ${why}`);
  };
  if (launcher === undefined) return fail("the plugin launcher is not in the state folder");
  assertSameProcesses(root, fail);
  const child = spawn(launcher, [root, "/", "/"], {});
  if (!child) return fail(`${launcher} cannot be executed; is its folder mounted noexec?`);
  const signal = new AbortController().signal;
  const options = { env: {}, stdin: new Uint8Array(0), timeout: PROBE_TIME, signal };
  const outcome = await runToEnd(child, options);
  const failure = readFailure(outcome);
  // A folder cannot be executed: this answer means that the root was entered.
  if (failure?.step === "exec" && failure.errno === EACCES) return;
  fail(`${failure ? describe(failure) : outcome.killed}; chroot needs the capability SYS_CHROOT`);
}

/**
 * Plugins look for their own thread's namespace by their process id, in the root's /proc: that must
 * count processes as this process's does.
 */
function assertSameProcesses(root: string, fail: (why: string) => never): void {
  let pid: string;
  try {
    pid = Deno.readLinkSync(`${root}/proc/self`);
  } catch {
    return fail("it has no /proc; mount the node's root with everything that is mounted below it");
  }
  if (Number(pid) === Deno.pid) return;
  fail(`its /proc knows this process as ${pid}, not ${Deno.pid}; set hostPID: true for the pod`);
}

function describe({ step, errno }: LaunchFailure): string {
  const name = getSystemErrorName(-errno) ?? `error ${errno}`;
  return step === "chroot" ? `it cannot become the root folder (${name})` : `exec: ${name}`;
}
