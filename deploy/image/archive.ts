import { createHash } from "node:crypto";
import { tar, type TarEntry } from "../../mod/tar/tar.ts";

/** Nothing in an image tells when it was made. */
const CREATED = "1970-01-01T00:00:00Z";

export interface Layer {
  /** What made it, as `docker history` shows it. */
  readonly comment: string;
  /** A tar archive, not compressed: its bytes are the same whoever makes them, by whichever library. */
  readonly content: Uint8Array;
}

/** What a container of the image is started with (OCI image configuration, "config"). */
export interface ImageDefaults {
  readonly Entrypoint: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly Labels?: Readonly<Record<string, string>>;
  readonly WorkingDir?: string;
}

export interface ImageOptions {
  /** Such as `localhost/network-dra:0.1.0`. */
  readonly name: string;
  /** As Go names it: amd64, arm64. */
  readonly architecture: string;
  readonly defaults: ImageDefaults;
  readonly layers: readonly Layer[];
}

export interface Image {
  /** The digest of its manifest, by which registries and runtimes know it. */
  readonly digest: string;
  /** A tar archive. */
  readonly archive: Uint8Array<ArrayBuffer>;
}

/**
 * An image as an archive in the OCI image layout, with Docker's `manifest.json` beside it that names
 * the same files: containerd, skopeo and podman read the one, `docker load` the other.
 */
export function imageArchive({ name, architecture, defaults, layers }: ImageOptions): Image {
  const blobs = new Map<string, Uint8Array>();
  const add = (content: Uint8Array, mediaType: string) => {
    const digest = digestOf(content);
    blobs.set(digest, content);
    return { mediaType, digest, size: content.length };
  };
  const layerBlobs = layers.map(({ content }) => add(content, `${OCI}.layer.v1.tar`));
  const config = add(
    json({
      created: CREATED,
      architecture,
      os: "linux",
      config: defaults,
      rootfs: { type: "layers", diff_ids: layerBlobs.map(({ digest }) => digest) },
      history: layers.map(({ comment }) => ({ created: CREATED, created_by: comment })),
    }),
    `${OCI}.config.v1+json`,
  );
  const manifest = add(
    json({
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      config,
      layers: layerBlobs,
    }),
    `${OCI}.manifest.v1+json`,
  );
  const index = json({
    schemaVersion: 2,
    mediaType: `${OCI}.index.v1+json`,
    manifests: [{
      ...manifest,
      platform: { architecture, os: "linux" },
      annotations: {
        // containerd's name for it; and the tag, which is all that OCI has.
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.replace(/^.*:/, ""),
      },
    }],
  });
  const docker = json([{
    Config: blobPath(config.digest),
    RepoTags: [name],
    Layers: layerBlobs.map(({ digest }) => blobPath(digest)),
  }]);
  const file = (path: string, content: Uint8Array): TarEntry => ({ kind: "file", path, content });
  const archive = tar([
    { kind: "folder", path: "blobs" },
    { kind: "folder", path: "blobs/sha256" },
    ...[...blobs].toSorted(([a], [b]) => a < b ? -1 : 1)
      .map(([digest, content]) => file(blobPath(digest), content)),
    file("index.json", index),
    file("manifest.json", docker),
    file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
  ]);
  return { digest: manifest.digest, archive };
}

const OCI = "application/vnd.oci.image";

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
