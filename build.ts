/**
 * Builds dist/network-dra (`deno task build`): one executable, with the agent's permissions in it.
 *
 * `deno compile` makes it from a base runtime that it fetches, or that DENORT_BIN names. Where that
 * cannot be had, the build says so and makes a portable file instead: a short shell script with Deno
 * and the bundle behind it, which unpacks itself at its first start. Either is run before the build
 * calls it made.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { BUNDLE, bundle } from "./deploy/executable/bundle.ts";
import { checkExecutable, compile } from "./deploy/executable/compile.ts";
import { ROOT } from "./deploy/executable/deno.ts";
import { makePortable } from "./deploy/executable/portable.ts";
import { isOwn, targetOf } from "./deploy/executable/targets.ts";

const OUTPUT = join(ROOT, "dist/network-dra");

if (import.meta.main) {
  const { values } = parseArgs({ args: Deno.args, options: { target: { type: "string" } } });
  const target = targetOf(values.target);
  const progress = (line: string) => console.log(line);
  await bundle({ progress });
  const { size } = await Deno.stat(BUNDLE);
  console.log(`bundled ${BUNDLE} (${Math.round(size / 1024)} KiB)`);
  const obstacle = await compile({ target, output: OUTPUT, progress });
  if (obstacle === undefined) {
    console.log(`compiled ${OUTPUT}`);
  } else if (!isOwn(target)) {
    // A portable file holds the Deno of this machine, which is of another architecture.
    throw new Error(`deno compile could not be used: ${obstacle}`);
  } else {
    console.log(`deno compile could not be used: ${obstacle}`);
    console.log("  (it needs its base runtime: let it be fetched, or name one in DENORT_BIN)");
    await makePortable(OUTPUT);
    await checkExecutable(OUTPUT, target);
    console.log(`made ${OUTPUT} as a portable file that unpacks itself`);
  }
}
