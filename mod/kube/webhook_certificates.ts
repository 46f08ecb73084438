import { Buffer } from "node:buffer";
import type { CertificateStore, StoredCertificate, Trust } from "../webhook/ports.ts";
import type { KubeConnection } from "./connection.ts";
import { KubeError } from "./error.ts";

/** Keys of the Secret, and what each holds. */
const KEYS = { ca: "ca.crt", cert: "tls.crt", key: "tls.key" } as const;

/** Conflict: the object is another by now. */
const CHANGED = 409;

interface Secret {
  readonly metadata: { readonly resourceVersion: string };
  readonly data?: Readonly<Record<string, string>>;
}

interface WebhookConfiguration {
  readonly metadata: { readonly resourceVersion: string };
  readonly webhooks?: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
}

/**
 * The webhook's certificate in a Secret, which must exist, and its authorities in the
 * ValidatingWebhookConfiguration. It needs the verbs get and patch of both.
 */
export class KubeWebhookCertificates implements CertificateStore {
  readonly #connection: KubeConnection;
  readonly #secret: string;
  readonly #configuration: string;

  constructor(
    connection: KubeConnection,
    { secret, configuration }: {
      readonly secret: { readonly namespace: string; readonly name: string };
      /** The name of the ValidatingWebhookConfiguration. */
      readonly configuration: string;
    },
  ) {
    this.#connection = connection;
    this.#secret = `/api/v1/namespaces/${secret.namespace}/secrets/${secret.name}`;
    this.#configuration = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/" +
      configuration;
  }

  async read(signal: AbortSignal): Promise<StoredCertificate> {
    const { body, date } = await this.#connection.answer({
      method: "GET",
      path: this.#secret,
      signal,
    });
    const { metadata, data = {} } = body as Secret;
    const text = (key: string) => Buffer.from(data[key] ?? "", "base64").toString();
    return {
      version: metadata.resourceVersion,
      certificate: { ca: text(KEYS.ca), cert: text(KEYS.cert), key: text(KEYS.key) },
      ...(date && { now: date }),
    };
  }

  write: CertificateStore["write"] = async ({ ca, cert, key }, { version, signal }) => {
    const data = Object.fromEntries(
      Object.entries({ ca, cert, key }).map(([name, text]) => [
        KEYS[name as keyof typeof KEYS],
        btoa(text),
      ]),
    );
    return await this.#patch(this.#secret, [
      { op: "replace", path: "/metadata/resourceVersion", value: version },
      { op: "add", path: "/data", value: data },
    ], signal);
  };

  async readTrust(signal: AbortSignal): Promise<Trust> {
    const { metadata, webhooks = [] } = await this.#connection.request({
      method: "GET",
      path: this.#configuration,
      signal,
    }) as WebhookConfiguration;
    return {
      version: metadata.resourceVersion,
      bundles: webhooks.map(({ clientConfig: { caBundle = "" } }) =>
        Buffer.from(caBundle, "base64").toString()
      ),
    };
  }

  writeTrust: CertificateStore["writeTrust"] = async (bundle, { trust, signal }) =>
    await this.#patch(this.#configuration, [
      { op: "replace", path: "/metadata/resourceVersion", value: trust.version },
      ...trust.bundles.map((_, i) => ({
        op: "add",
        path: `/webhooks/${i}/clientConfig/caBundle`,
        value: btoa(bundle),
      })),
    ], signal);

  /** Whether the object was still the one that was read. @throws KubeError */
  async #patch(path: string, body: readonly object[], signal: AbortSignal): Promise<boolean> {
    try {
      await this.#connection.request({
        method: "PATCH",
        path,
        body,
        contentType: "application/json-patch+json",
        signal,
      });
      return true;
    } catch (error) {
      if (error instanceof KubeError && error.status === CHANGED) return false;
      throw error;
    }
  }
}
