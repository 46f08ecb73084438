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
import { tar } from "./tar.ts";

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
  { name = IMAGE_NAME, target = targetOf(undefined), progress }: BuildOptions = {},
): Promise<BuiltImage> {
  const { architecture } = target;
  const base = tar(await baseFiles(architecture, { progress }));
  const program = await programLayers(target, { progress });
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

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      name: { type: "string", default: IMAGE_NAME },
      output: { type: "string", default: IMAGE_FILE },
      target: { type: "string" },
    },
  });
  const { name, output } = values;
  const progress = (line: string) => console.log(line);
  const image = await buildImage({ name, target: targetOf(values.target), progress });
  await Deno.writeFile(output, image.archive);
  for (const { comment, content } of image.layers) {
    console.log(`layer   ${megabytes(content.length).padStart(9)}  ${comment}`);
  }
  console.log(`archive ${megabytes(image.archive.length).padStart(9)}  ${output}`);
  console.log(`${name}@${image.digest}`);
}
