import { createHash } from "node:crypto";
import { BUNDLE, bundle } from "../executable/bundle.ts";
import { compile } from "../executable/compile.ts";
import { runArguments } from "../executable/flags.ts";
import { pinOf } from "../executable/pins.ts";
import { isOwn, type Target } from "../executable/targets.ts";
import type { Layer } from "./archive.ts";
import { commandLauncher } from "./launcher.ts";
import { tar } from "../../mod/tar/tar.ts";

/** Where Deno and the bundle lie, in an image without the compiled executable. */
const FOLDER = "usr/lib/network-dra";

export interface Program {
  readonly layers: readonly Layer[];
  readonly env: readonly string[];
}

/**
 * What is called `/network-dra` in the image: the executable of `deno compile` where Deno's base
 * runtime is available; else a launcher that becomes Deno with the bundle. Deno then is a layer of its
 * own, which stays the same when the code changes.
 */
export async function programLayers(
  target: Target,
  { progress }: { readonly progress: (line: string) => void },
): Promise<Program> {
  await bundle({ progress });
  const output = await Deno.makeTempFile({ prefix: "network-dra-" });
  try {
    const obstacle = await compile({ target, output, progress });
    if (obstacle === undefined) return await compiledProgram(output);
    progress(`deno compile could not be used: ${obstacle}`);
    if (!isOwn(target) || target.architecture !== "amd64") {
      throw new Error(`cannot build the image for ${target.architecture} without deno compile`);
    }
    progress("the image holds deno and the bundle instead");
    return await bundledProgram(target);
  } finally {
    await Deno.remove(output).catch(() => {});
  }
}

async function compiledProgram(path: string): Promise<Program> {
  const content = await Deno.readFile(path);
  const layer = tar([{ kind: "file", path: "network-dra", mode: 0o755, content }]);
  return { layers: [{ comment: "the executable", content: layer }], env: [] };
}

async function bundledProgram(target: Target): Promise<Program> {
  const deno = await Deno.readFile(Deno.execPath());
  const { version, sha256 } = pinOf("deno", target);
  const sum = createHash("sha256").update(deno).digest("hex");
  if (sum !== sha256) {
    throw new Error(
      `${Deno.execPath()} (SHA-256 ${sum}) is not npm's deno ${version}, of which the image is made: ` +
        `run "npx -y deno@${version} task image"`,
    );
  }
  const bundlePath = `/${FOLDER}/network-dra.js`;
  const [run, ...args] = runArguments(bundlePath);
  // The root is read-only.
  const launcher = commandLauncher([`/${FOLDER}/deno`, run!, "--no-code-cache", ...args]);
  return {
    layers: [
      {
        comment: `deno ${version}`,
        content: tar([
          { kind: "folder", path: FOLDER },
          { kind: "file", path: `${FOLDER}/deno`, mode: 0o755, content: deno },
        ]),
      },
      {
        comment: "network-dra",
        content: tar([
          { kind: "file", path: "network-dra", mode: 0o755, content: launcher },
          { kind: "file", path: bundlePath.slice(1), content: await Deno.readFile(BUNDLE) },
        ]),
      },
    ],
    // It asks for a folder of its own, and writes nothing to it.
    env: [`DENO_DIR=/${FOLDER}/cache`, "DENO_NO_UPDATE_CHECK=1"],
  };
}
