/**
 * Builds dist/network-dra (`deno task build`): one executable, with the agent's permissions in it.
 *
 * `deno compile` makes it from a base runtime that it fetches, or that DENORT_BIN names. Where that
 * is not available, the build says so and makes a portable file instead: a short shell script with Deno
 * and the bundle behind it, which unpacks itself at its first start. Either is run before the build
 * calls it made.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildExecutable } from "./deploy/executable/build.ts";
import { ROOT } from "./deploy/executable/deno.ts";
import { targetOf } from "./deploy/executable/targets.ts";

if (import.meta.main) {
  const { values } = parseArgs({ args: Deno.args, options: { target: { type: "string" } } });
  try {
    await buildExecutable({
      target: targetOf(values.target),
      output: join(ROOT, "dist/network-dra"),
      progress: console.log,
    });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
