import { createHash } from "node:crypto";
import { BUNDLE, bundle } from "../executable/bundle.ts";
import { compile } from "../executable/compile.ts";
import { runArguments } from "../executable/flags.ts";
import { isOwn, type Target } from "../executable/targets.ts";
import type { Layer } from "./archive.ts";
import { commandLauncher } from "./launcher.ts";
import { tar } from "./tar.ts";

/** By version: the `deno` of the npm package @deno/linux-x64-glibc. */
const DENO_SHA256: Readonly<Record<string, string | undefined>> = {
  "2.9.3": "8570c9cdebe936ba744e12a6d329e0a17ea505b4e5f89b654473a2efc2d2e3ba",
};

/** Where Deno and the bundle lie, in an image without the compiled executable. */
const FOLDER = "usr/lib/network-dra";

export interface Program {
  readonly layers: readonly Layer[];
  readonly env: readonly string[];
}

/**
 * What is called `/network-dra` in the image: the executable of `deno compile` where Deno's base
 * runtime can be had; else a launcher that becomes Deno with the bundle. Deno then is a layer of its
 * own, which stays the same when the code changes.
 */
export async function programLayers(
  target: Target,
  { progress }: { readonly progress?: (line: string) => void },
): Promise<Program> {
  await bundle();
  const output = await Deno.makeTempFile({ prefix: "network-dra-" });
  try {
    const obstacle = await compile(target, output);
    if (obstacle === undefined) return await compiledProgram(output);
    progress?.(`deno compile could not be used: ${obstacle}`);
    if (!isOwn(target) || target.architecture !== "amd64") {
      throw new Error(`there is no image for ${target.architecture} without deno compile`);
    }
    progress?.("the image holds deno and the bundle instead");
    return await bundledProgram();
  } finally {
    await Deno.remove(output).catch(() => {});
  }
}

async function compiledProgram(path: string): Promise<Program> {
  const content = await Deno.readFile(path);
  const layer = tar([{ kind: "file", path: "network-dra", mode: 0o755, content }]);
  return { layers: [{ comment: "the executable", content: layer }], env: [] };
}

async function bundledProgram(): Promise<Program> {
  const deno = await Deno.readFile(Deno.execPath());
  const sum = createHash("sha256").update(deno).digest("hex");
  if (sum !== DENO_SHA256[Deno.version.deno]) {
    throw new Error(
      `${Deno.execPath()} (SHA-256 ${sum}) is not the deno ${Deno.version.deno} of npm: ` +
        `run "npx -y deno@2.9.3 task image"`,
    );
  }
  const bundlePath = `/${FOLDER}/network-dra.js`;
  const launcher = commandLauncher([`/${FOLDER}/deno`, ...runArguments(bundlePath)]);
  return {
    layers: [
      {
        comment: `deno ${Deno.version.deno}`,
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
