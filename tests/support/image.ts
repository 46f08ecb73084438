import { createHash } from "node:crypto";

/** There from the start in each runtime. */
export const IMAGE = "docker.io/local/busybox:1";
/** Of the sandboxes. */
export const PAUSE_IMAGE = "docker.io/local/pause:1";

const BLOCK = 512;

export interface TarEntry {
  readonly path: string;
  readonly content?: Uint8Array;
  readonly link?: string;
  readonly folder?: true;
}

/** A tar archive (POSIX ustar). */
function tar(entries: readonly TarEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { path, content = new Uint8Array(0), link, folder } of entries) {
    const header = new Uint8Array(BLOCK);
    const put = (text: string, offset: number) =>
      header.set(new TextEncoder().encode(text), offset);
    const octal = (number: number, width: number) => number.toString(8).padStart(width - 1, "0");
    put(folder ? `${path}/` : path, 0);
    put(octal(0o755, 8), 100);
    put(octal(0, 8), 108);
    put(octal(0, 8), 116);
    put(octal(content.length, 12), 124);
    put(octal(0, 12), 136);
    put(folder ? "5" : link ? "2" : "0", 156);
    if (link) put(link, 157);
    put("ustar\u000000", 257);
    put(" ".repeat(8), 148);
    put(octal(header.reduce((sum, byte) => sum + byte, 0), 7), 148);
    header[154] = 0;
    parts.push(header, content, new Uint8Array((BLOCK - content.length % BLOCK) % BLOCK));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  const archive = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    archive.set(part, offset);
    offset += part.length;
  }
  return archive;
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** What an image consists of: its configuration and its one layer. */
export interface ImageParts {
  readonly config: Uint8Array;
  readonly layer: Uint8Array;
}

/** An image with a static busybox. */
export function busyboxParts(busybox: Uint8Array, entrypoint: readonly string[]): ImageParts {
  const applets = ["sh", "sleep", "ip", "ls", "cat", "env"];
  const layer = tar([
    ...["bin", "etc", "proc", "sys", "dev", "tmp", "run"].map((
      path,
    ) => ({ path, folder: true } as const)),
    { path: "bin/busybox", content: busybox },
    ...applets.map((applet) => ({ path: `bin/${applet}`, link: "/bin/busybox" })),
  ]);
  const config = json({
    architecture: { x86_64: "amd64", aarch64: "arm64" }[Deno.build.arch as string],
    os: "linux",
    config: { Entrypoint: entrypoint, Env: ["PATH=/bin"] },
    rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
    history: [],
  });
  return { config, layer };
}

export function imageArchive(
  entries: readonly TarEntry[],
  { name, config: own }: { readonly name: string; readonly config: unknown },
): Uint8Array {
  const layer = tar(entries);
  const config = json({
    architecture: "amd64",
    os: "linux",
    config: own,
    rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
    history: [],
  });
  const [configName, layerName] = [`${sha256(config)}.json`, `${sha256(layer)}/layer.tar`];
  return tar([
    { path: configName, content: config },
    { path: layerName, content: layer },
    {
      path: "manifest.json",
      content: json([{ Config: configName, RepoTags: [name], Layers: [layerName] }]),
    },
  ]);
}

/** The same as an archive, as `ctr images import` takes it. */
export function busyboxImage(
  busybox: Uint8Array,
  { name, entrypoint }: { readonly name: string; readonly entrypoint: readonly string[] },
): Uint8Array {
  const { config, layer } = busyboxParts(busybox, entrypoint);
  const [configName, layerName] = [`${sha256(config)}.json`, `${sha256(layer)}/layer.tar`];
  return tar([
    { path: configName, content: config },
    { path: layerName, content: layer },
    {
      path: "manifest.json",
      content: json([{ Config: configName, RepoTags: [name], Layers: [layerName] }]),
    },
  ]);
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
