import { BUNDLE, bundle } from "./bundle.ts";
import { checkExecutable, compile } from "./compile.ts";
import type { Purpose } from "./flags.ts";
import { makePortable } from "./portable.ts";
import { isOwn, type Target } from "./targets.ts";

/**
 * Builds the agent into one file: an executable, or a portable file where Deno has no base runtime for
 * this machine.
 *
 * @throws Error where what was built does not run
 */
export async function buildExecutable(
  { target, output, purpose = "agent", progress }: {
    readonly target: Target;
    readonly output: string;
    readonly purpose?: Purpose;
    readonly progress: (line: string) => void;
  },
): Promise<void> {
  await bundle({ progress });
  const { size } = await Deno.stat(BUNDLE);
  progress(`bundled ${BUNDLE} (${Math.round(size / 1024)} KiB)`);
  const obstacle = await compile({ target, output, purpose, progress });
  if (obstacle === undefined) {
    progress(`compiled ${output}`);
  } else if (!isOwn(target)) {
    // A portable file holds the Deno of this machine, which is of another architecture.
    throw new Error(`deno compile could not be used: ${obstacle}`);
  } else {
    progress(`deno compile could not be used: ${obstacle}`);
    progress("  (it needs its base runtime: let it be fetched, or name one in DENORT_BIN)");
    await makePortable(output);
    await checkExecutable(output, target);
    progress(`made ${output} as a portable file that unpacks itself`);
  }
}
