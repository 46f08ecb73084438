import { createHash } from "node:crypto";
import type { ImageParts } from "./image.ts";

/** A registry of images on loopback, from which a runtime pulls as from any other. */
export class ImageRegistry {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #manifests = new Map<string, Uint8Array>();
  readonly #blobs = new Map<string, Uint8Array>();

  private constructor() {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      return this.#answer(request.method, new URL(request.url).pathname);
    });
  }

  static start(): ImageRegistry {
    return new ImageRegistry();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** @param repository such as `library/busybox` */
  add(repository: string, tag: string, { config, layers }: ImageParts): void {
    const part = (bytes: Uint8Array, mediaType: string) => {
      const digest = digestOf(bytes);
      this.#blobs.set(digest, bytes);
      return { mediaType: `application/vnd.oci.image.${mediaType}`, digest, size: bytes.length };
    };
    const manifest = new TextEncoder().encode(JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: part(config, "config.v1+json"),
      layers: layers.map((layer) => part(layer, "layer.v1.tar")),
    }));
    this.#manifests.set(`${repository}/manifests/${tag}`, manifest);
    this.#manifests.set(`${repository}/manifests/${digestOf(manifest)}`, manifest);
  }

  async stop(): Promise<void> {
    await this.#server.shutdown();
  }

  #answer(method: string, path: string): Response {
    const asked = path.replace(/^\/v2\//, "");
    // Whether it is a registry at all.
    if (asked === "") return new Response("{}");
    const manifest = this.#manifests.get(asked);
    const blob = this.#blobs.get(asked.split("/blobs/")[1] ?? "");
    const content = manifest ?? blob;
    if (!content) return new Response("there is no such image", { status: 404 });
    const headers = {
      "Content-Type": manifest ? MANIFEST : "application/octet-stream",
      "Content-Length": String(content.length),
      "Docker-Content-Digest": digestOf(content),
    };
    return new Response(method === "HEAD" ? null : content as BodyInit, { headers });
  }
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
