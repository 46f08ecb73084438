import config from "../../deno.json" with { type: "json" };
import { BUNDLE } from "./bundle.ts";
import { deno } from "./deno.ts";
import { compileFlags, type Purpose } from "./flags.ts";
import { baseRuntimePath, checkPin } from "./pins.ts";
import { isOwn, type Target } from "./targets.ts";

/**
 * Makes an executable of the bundle, and makes sure that it is one.
 *
 * @returns the reason where Deno has no base runtime for it
 * @throws Error where the base runtime is not the pinned one, or what came out does not run
 */
export async function compile(
  { target, output, purpose = "agent", progress }: {
    readonly target: Target;
    readonly output: string;
    readonly purpose?: Purpose;
    readonly progress: (line: string) => void;
  },
): Promise<string | undefined> {
  const given = Deno.env.get("DENORT_BIN");
  if (given && !isOwn(target)) {
    // Deno would take it whatever machine it is for.
    throw new Error(
      `DENORT_BIN (${given}) cannot be used with --target ${target.architecture}: unset it, and put ` +
        `denort-${target.triple}.zip of Deno ${Deno.version.deno} at ${await baseRuntimePath(
          target,
        )}`,
    );
  }
  // deno compile replaces nothing that it did not make.
  await Deno.remove(output).catch(() => {});
  const to = isOwn(target) ? [] : ["--target", target.triple];
  const { success, stderr } = await deno(
    ...[
      "compile",
      "--quiet",
      "--no-check",
      ...to,
      ...compileFlags(purpose),
      "--output",
      output,
      BUNDLE,
    ],
  );
  if (!success) {
    // The causes stand indented below the error; the innermost says most.
    const causes = stderr.split("\n")
      .filter((line) => /^\s+\d: |^error/.test(line) && !/unknown>/.test(line));
    return causes.at(-1)?.trim() ?? stderr;
  }
  try {
    if (!given) await checkPin(await baseRuntimePath(target), { tool: "denort", target, progress });
    await checkExecutable(output, target);
  } catch (error) {
    await Deno.remove(output);
    throw error;
  }
  return undefined;
}

/** @throws Error where the file does not answer, or is for another machine than the target */
export async function checkExecutable(path: string, target: Target): Promise<void> {
  if (!isOwn(target)) {
    const header = (await Deno.readFile(path)).subarray(0, 20);
    // e_machine of an ELF file, little-endian.
    const machine = header[18]! | header[19]! << 8;
    if (machine === target.elf) return;
    throw new Error(`${path} is for the machine ${machine} of ELF, not for ${target.architecture}`);
  }
  const folder = await Deno.makeTempDir({ prefix: "network-dra-" });
  try {
    const { code, stdout, stderr } = await new Deno.Command(path, {
      args: ["version"],
      // Where a portable file unpacks itself.
      env: { NETWORK_DRA_CACHE: folder, NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    if (code === 0 && out === config.version) return;
    throw new Error(
      `${path} was made but does not run: "version" gave exit code ${code} and ${
        JSON.stringify(out || err!.split("\n")[0])
      }. Is DENORT_BIN the base runtime (denort) of Deno ${Deno.version.deno}?`,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
