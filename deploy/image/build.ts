/**
 * Builds the agent's image (`deno task image`): dist/network-dra-image.tar, which `ctr images import`,
 * `podman load`, `docker load` and skopeo take. It needs neither a registry nor a container engine, and
 * the same tree gives the same digest.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import config from "../../deno.json" with { type: "json" };
import { ROOT } from "../executable/deno.ts";
import { type Target, targetOf } from "../executable/targets.ts";
import { type Image, imageArchive, type Layer } from "./archive.ts";
import { baseFiles } from "./base.ts";
import { programLayers } from "./program.ts";
import { tar } from "../../mod/tar/tar.ts";

/** Where the image is, and what it is called, unless something else is asked for. */
export const IMAGE_FILE = join(ROOT, "dist/network-dra-image.tar");
export const IMAGE_NAME = `localhost/network-dra:${config.version}`;

const LABELS = {
  "org.opencontainers.image.title": "network-dra",
  "org.opencontainers.image.description": "Networks for Kubernetes pods, claimed like devices",
  "org.opencontainers.image.version": config.version,
  "org.opencontainers.image.licenses": config.license,
};

export interface BuildOptions {
  readonly name?: string;
  readonly target?: Target;
  readonly progress?: (line: string) => void;
}

export interface BuiltImage extends Image {
  readonly layers: readonly Layer[];
}

export async function buildImage(
  { name = IMAGE_NAME, target = targetOf(undefined), progress = () => {} }: BuildOptions = {},
): Promise<BuiltImage> {
  const { architecture } = target;
  const program = await programLayers(target, { progress });
  const base = tar(await baseFiles(architecture, { progress }));
  const layers = [{ comment: "glibc and libgcc from Debian", content: base }, ...program.layers];
  const image = imageArchive({
    name,
    architecture,
    defaults: {
      Entrypoint: ["/network-dra"],
      Cmd: ["run"],
      Env: program.env,
      Labels: LABELS,
      WorkingDir: "/",
    },
    layers,
  });
  return { ...image, layers };
}

/** Builds the image into a file, and tells the sizes and the digest. */
export async function writeImage(
  { output = IMAGE_FILE, name = IMAGE_NAME, target, progress = () => {} }: BuildOptions & {
    readonly output?: string;
  },
): Promise<void> {
  const image = await buildImage({ name, target, progress });
  // Nobody sees it half written.
  await Deno.writeFile(`${output}.new`, image.archive);
  await Deno.rename(`${output}.new`, output);
  for (const { comment, content } of image.layers) progress(sized("layer", content, comment));
  progress(sized("archive", image.archive, output));
  progress(`${name}@${image.digest}`);
}

function sized(what: string, { length }: Uint8Array, name: string): string {
  return `${what.padEnd(7)} ${(length / 1e6).toFixed(1).padStart(6)} MB  ${name}`;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      name: { type: "string" },
      output: { type: "string" },
      target: { type: "string" },
    },
  });
  const { name, output } = values;
  await writeImage({ name, output, target: targetOf(values.target), progress: console.log });
}
