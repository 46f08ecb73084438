import { join } from "node:path";
import { imageArchive } from "../../deploy/image/archive.ts";
import { readTar, tar } from "../../mod/tar/tar.ts";

/** There from the start in each runtime. */
export const IMAGE = "docker.io/local/busybox:1";
/** Of the sandboxes. */
export const PAUSE_IMAGE = "docker.io/local/pause:1";

/** What an image consists of: its name, its configuration, and its layers as tar archives. */
export interface ImageParts {
  /** By which runtimes know it, with its registry and its tag. */
  readonly name: string;
  readonly config: Uint8Array;
  readonly layers: readonly Uint8Array[];
}

/** The one image of an archive in the OCI image layout. */
export function readImage(archive: Uint8Array): ImageParts {
  const files = new Map(
    readTar(archive).flatMap((entry) =>
      entry.kind === "file" ? [[entry.path, entry.content] as const] : []
    ),
  );
  const blob = (digest: string) => {
    const content = files.get(`blobs/${digest.replace(":", "/")}`);
    if (!content) throw new Error(`the archive has no blob ${digest}`);
    return content;
  };
  const json = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));
  const [{ digest, annotations }] = json(files.get("index.json")!).manifests;
  const name = annotations["io.containerd.image.name"];
  const { config, layers } = json(blob(digest)) as {
    config: { digest: string };
    layers: { digest: string }[];
  };
  return { name, config: blob(config.digest), layers: layers.map((layer) => blob(layer.digest)) };
}

/** Lays out an image's files in a folder. */
export async function unpackImage({ layers }: ImageParts, folder: string): Promise<void> {
  for (const entry of layers.flatMap((layer) => readTar(layer))) {
    const path = join(folder, entry.path);
    if (entry.kind === "link") {
      await Deno.symlink(entry.target, path);
      continue;
    }
    if (entry.kind === "folder") await Deno.mkdir(path, { recursive: true });
    else await Deno.writeFile(path, entry.content);
    await Deno.chmod(path, entry.mode!);
  }
}

/** An image with a static busybox, as an archive that `ctr images import` takes. */
export function busyboxImage(
  busybox: Uint8Array,
  { name, entrypoint }: { readonly name: string; readonly entrypoint: readonly string[] },
): Uint8Array {
  const applets = ["sh", "sleep", "ip", "ls", "cat", "env", "top", "ping"];
  const content = tar([
    ...["bin", "etc", "proc", "sys", "dev", "tmp", "run"]
      .map((path) => ({ kind: "folder", path } as const)),
    { kind: "file", path: "bin/busybox", mode: 0o755, content: busybox },
    ...applets.map((applet) =>
      ({ kind: "link", path: `bin/${applet}`, target: "/bin/busybox" }) as const
    ),
  ]);
  return imageArchive({
    name,
    architecture: { x86_64: "amd64", aarch64: "arm64" }[Deno.build.arch as string]!,
    defaults: { Entrypoint: entrypoint, Env: ["PATH=/bin"] },
    layers: [{ comment: "busybox", content }],
  }).archive;
}

/** The same as parts, for a registry. */
export function busyboxParts(busybox: Uint8Array, entrypoint: readonly string[]): ImageParts {
  return readImage(busyboxImage(busybox, { name: IMAGE, entrypoint }));
}
