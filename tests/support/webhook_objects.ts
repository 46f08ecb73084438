import { Buffer } from "node:buffer";
import { failure } from "../../mod/simulator/failure.ts";
import { applyJsonPatch } from "../../mod/simulator/json_patch.ts";

const SECRET = "/api/v1/namespaces/kube-system/secrets/tls";
const CONFIGURATION =
  "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/network-dra-webhook";

interface Stored {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  data?: Readonly<Record<string, string>>;
  webhooks?: readonly { readonly name: string; readonly clientConfig: { caBundle?: string } }[];
}

/** What the webhook has at the API server for its certificate: a Secret, empty at first, and its configuration. */
export class WebhookObjects {
  /** The flags that name them. */
  static readonly flags = [
    ...["--certificate-secret", "kube-system/tls", "--server-name", "localhost"],
    ...["--webhook-configuration", "network-dra-webhook"],
  ];

  readonly #stored = new Map<string, Stored>([
    [SECRET, { metadata: { name: "tls", resourceVersion: "1" } }],
    [CONFIGURATION, {
      metadata: { name: "network-dra-webhook", resourceVersion: "1" },
      webhooks: [{ name: "claims", clientConfig: {} }, { name: "classes", clientConfig: {} }],
    }],
  ]);
  /** Requests that failed because the object was another by then. */
  conflicts = 0;
  now: () => Date = () => new Date();

  get secret(): Stored {
    return this.#stored.get(SECRET)!;
  }

  /** What the API server trusts for each webhook. */
  get bundles(): string[] {
    return this.#stored.get(CONFIGURATION)!.webhooks!.map(({ clientConfig: { caBundle = "" } }) =>
      Buffer.from(caBundle, "base64").toString()
    );
  }

  /** As `kubectl patch secret tls -p '{"data":null}'`. */
  emptySecret(): void {
    const { data: _, ...rest } = this.secret;
    this.#store(SECRET, rest);
  }

  /** As the API server does: JSON Patch, refused where it names another version than the current one. */
  answer = async (request: Request): Promise<Response | undefined> => {
    const { pathname } = new URL(request.url);
    const found = this.#stored.get(pathname);
    if (!found) return undefined;
    const headers = { Date: this.now().toUTCString() };
    if (request.method === "GET") return Response.json(found, { headers });
    if (request.method !== "PATCH") return failure(405, "MethodNotAllowed", "not allowed");
    const patched = applyJsonPatch(found, await request.json());
    const current = this.#stored.get(pathname)!.metadata.resourceVersion;
    if (patched.metadata.resourceVersion !== current) {
      this.conflicts++;
      return failure(409, "Conflict", "the object has been modified");
    }
    return Response.json(this.#store(pathname, patched), { headers });
  };

  #store(path: string, object: Stored): Stored {
    const resourceVersion = `${Number(object.metadata.resourceVersion) + 1}`;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion } };
    this.#stored.set(path, stored);
    return stored;
  }
}
