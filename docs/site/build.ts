/**
 * The documentation as a site (`deno task docs`): dist/docs, static files that ask no other host for
 * anything. `--serve` then shows it on this machine.
 *
 * VitePress comes from npm, in the versions of package-lock.json, into this folder's node_modules.
 */
import { dirname, join } from "node:path";
import { errorMessage } from "../../mod/async/error_message.ts";
import {
  BUILD_LIMIT_MINUTES,
  DOWNLOAD_LIMIT_MINUTES,
  outputWithin,
} from "../../mod/simulator/output_within.ts";

const HERE = dirname(new URL(import.meta.url).pathname);
const SITE = join(HERE, "../../dist/docs");
const MODULES = join(HERE, "node_modules");
/** Holds the lock file that node_modules was made from. */
const STAMP = join(MODULES, ".made-from");

/** Builds the site into dist/docs. @throws Error with what the generator says */
export async function buildSite(): Promise<void> {
  await install();
  // What an earlier build has left must not pass for this one.
  await Deno.remove(SITE, { recursive: true }).catch(() => {});
  await vitepress(["build", HERE], BUILD_LIMIT_MINUTES);
}

async function install(): Promise<void> {
  const lock = await Deno.readTextFile(join(HERE, "package-lock.json"));
  if (await Deno.readTextFile(STAMP).catch(() => "") === lock) return;
  // What npm has in its cache has the checksum of the lock file: nothing needs to be asked for.
  await run("npm", ["ci", "--prefer-offline", "--no-audit", "--no-fund"], DOWNLOAD_LIMIT_MINUTES);
  await Deno.writeTextFile(STAMP, lock);
}

async function vitepress(args: readonly string[], limitMinutes: number): Promise<void> {
  await run("node", [join(MODULES, "vitepress/bin/vitepress.js"), ...args], limitMinutes);
}

async function run(
  program: string,
  args: readonly string[],
  limitMinutes: number,
): Promise<void> {
  const { success } = await outputWithin(limitMinutes, program, {
    args: [...args],
    cwd: HERE,
    stdout: "inherit",
    stderr: "inherit",
  }).catch((cause) => {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Error(`the program ${program} is not here: install Node.js 20 or later`, { cause });
  });
  if (!success) throw new Error(`${program} ${args.join(" ")} failed`);
}

if (import.meta.main) {
  const [mode, ...others] = Deno.args;
  if (others.length > 0 || mode !== undefined && mode !== "--serve") {
    console.error(`deno task docs: ${mode} is unknown; usage: deno task docs [--serve]`);
    Deno.exit(2);
  }
  try {
    await buildSite();
    if (mode === "--serve") await vitepress(["preview", HERE, "--host", "127.0.0.1"], Infinity);
  } catch (error) {
    console.error(`deno task docs: ${errorMessage(error)}`);
    Deno.exit(1);
  }
}
