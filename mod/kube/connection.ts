import { KubeConfig } from "@kubernetes/client-node/config";
import { dirname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse as parseYaml } from "yaml";
import { checkClientCertificate } from "./client_certificate.ts";
import { KubeError } from "./error.ts";

/** The API server answers within this, or the request is given up. */
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * For how long a busy API server is asked again: a Prepare that fails is tried again by
 * the kubelet only after a minute and more, and waits for 45 s.
 */
const BUSY_SERVER_LIMIT_MS = 15_000;

/** How long credentials are used before they are read again. */
const CREDENTIALS_AGE_MS = 10_000;

/**
 * What is longer goes by HTTP/1.1, in bytes. fetch leaves Nagle's algorithm on (denoland/deno#35581) and
 * writes a longer body apart from its headers over HTTP/2, so that it waits for the server's delayed
 * acknowledgement: 44 ms instead of 0.3 (Deno 2.9.3).
 */
const HTTP2_BODY = 1_000;
/** Of HTTP/1.1, that are kept for the next requests; the API server ends those that were idle for 90 s. */
const CONNECTIONS = { poolMaxIdlePerHost: 2, poolIdleTimeout: 30_000 };

/** What the library fills in for a request: the credentials as they are at that moment. */
interface Credentials {
  headers?: Record<string, string>;
  ca?: string | Uint8Array;
  cert?: string | Uint8Array;
  key?: string | Uint8Array;
}

export interface Request {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal: AbortSignal;
}

/** What a watch says of an object. */
export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: Readonly<Record<string, unknown>>;
}

/**
 * Requests to one API server. The library reads the credentials (kubeconfig, the pod's
 * ServiceAccount, exec plugins), every few seconds anew, so that rotated ones are picked up; the
 * requests themselves are plain JSON: typed models would drop fields that they do not know.
 */
export class KubeConnection {
  readonly #config: KubeConfig;
  readonly #server: string;
  readonly #timeout: number;
  #credentials: { readonly read: number; readonly value: Promise<Credentials> } | undefined;
  #clients: Clients | undefined;

  /**
   * @param kubeconfig path of a kubeconfig; without it the pod's ServiceAccount is used
   * @param timeout milliseconds after which a request that has no answer is given up
   * @throws Error that says what is missing
   */
  constructor(
    { kubeconfig, timeout = REQUEST_TIMEOUT_MS }: {
      readonly kubeconfig?: string;
      readonly timeout?: number;
    },
  ) {
    this.#timeout = timeout;
    this.#config = new KubeConfig();
    if (kubeconfig !== undefined) {
      this.#config.loadFromFile(kubeconfig);
      this.#config.users = withTokenFiles(this.#config.users, kubeconfig);
    } else if (Deno.env.get("KUBERNETES_SERVICE_HOST")) {
      this.#config.loadFromCluster();
    } else {
      throw new Error("not in a cluster (KUBERNETES_SERVICE_HOST is not set): give --kubeconfig");
    }
    const cluster = this.#config.getCurrentCluster();
    if (!cluster?.server) {
      throw new Error(`${kubeconfig ?? "the ServiceAccount"}: the current context has no cluster`);
    }
    if (cluster.skipTLSVerify && cluster.server.startsWith("https:")) {
      throw new Error(
        `${kubeconfig}: insecure-skip-tls-verify is not supported: give certificate-authority`,
      );
    }
    this.#server = cluster.server.replace(/\/+$/, "");
  }

  /**
   * The answer's body. What only reads is asked again when the API server says when; whoever writes
   * tries again anyway, with what is to be written then.
   *
   * @throws KubeError
   */
  async request(request: Request): Promise<unknown> {
    const { method, signal } = request;
    for (const began = performance.now();;) {
      const until = AbortSignal.any([signal, AbortSignal.timeout(this.#timeout)]);
      try {
        const response = await this.#fetch({ ...request, signal: until });
        return await response.json();
      } catch (error) {
        const failure = this.#failure(request, error);
        const pause = 1000 * Math.max(1, failure.retryAfter ?? NaN);
        const inTime = performance.now() - began + pause <= BUSY_SERVER_LIMIT_MS;
        if (method !== "GET" || !inTime) throw failure;
        await sleep(pause, undefined, { signal }).catch(() => {
          throw failure;
        });
      }
    }
  }

  /**
   * The events of a watch, as they come, until the API server ends it: first `undefined`, when it
   * has begun.
   *
   * @param limit milliseconds after which it ends in any case: a lost connection says nothing
   * @throws KubeError
   */
  async *watch(
    { path, limit, signal }: {
      readonly path: string;
      readonly limit: number;
      readonly signal: AbortSignal;
    },
  ): AsyncGenerator<WatchEvent | undefined> {
    const request: Request = { method: "GET", path, signal };
    const slow = new AbortController();
    const late = setTimeout(() => slow.abort(new Error("it took too long")), this.#timeout);
    let reader: ReadableStreamDefaultReader<string> | undefined;
    // The signal of a fetch does not always reach a body that has been silent for a while: four of
    // seven agents did not end by it (measured on Deno 2.9.3).
    const stop = () => void reader?.cancel().catch(() => {});
    signal.addEventListener("abort", stop, { once: true });
    const over = setTimeout(stop, limit);
    try {
      const until = AbortSignal.any([signal, slow.signal]);
      const { body } = await this.#fetch({ ...request, signal: until });
      clearTimeout(late);
      reader = body!.pipeThrough(new TextDecoderStream()).getReader();
      yield undefined;
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        signal.throwIfAborted();
        if (done) return;
        const lines = (rest + value).split("\n");
        rest = lines.pop()!;
        for (const line of lines) yield JSON.parse(line) as WatchEvent;
      }
    } catch (error) {
      throw this.#failure(request, error);
    } finally {
      clearTimeout(late);
      clearTimeout(over);
      signal.removeEventListener("abort", stop);
      // Whoever ends the watch ends the request with it.
      await reader?.cancel().catch(() => {});
    }
  }

  /** An answer that says that all is well. @throws KubeError, or what fetch throws */
  async #fetch({ method, path, body, contentType, signal }: Request): Promise<Response> {
    const credentials = await this.#readCredentials();
    const bytes = body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body));
    const clients = this.#clientsWith(credentials);
    const response = await fetch(this.#server + path, {
      method,
      body: bytes,
      headers: {
        ...credentials.headers,
        "Accept": "application/json",
        "User-Agent": "network-dra",
        ...(bytes && { "Content-Type": contentType ?? "application/json" }),
      },
      client: bytes && bytes.length > HTTP2_BODY ? clients.http1 : clients.http2,
      signal,
    }).catch((error) => {
      // Where the other side went without a word, HTTP/2 would give its one connection all further
      // requests, until the kernel gives that up after a quarter of an hour.
      if (signal.aborted && this.#clients === clients) this.close();
      throw error;
    });
    if (response.ok) return response;
    if (response.status === 401) this.#credentials = undefined;
    const problem = problemOf(await response.text());
    const { status } = response;
    // Kubernetes says seconds, never a date.
    const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
    throw new KubeError({ ...aboutOf({ method, path }), status, retryAfter, problem });
  }

  #failure(request: Request, cause: unknown): KubeError {
    if (cause instanceof KubeError) return cause;
    const problem = `no answer from ${this.#server}: ${reasons(cause)}`;
    return new KubeError({ ...aboutOf(request), problem, cause });
  }

  /** Requests that are under way come to their end. */
  close(): void {
    this.#clients?.http1.close();
    this.#clients?.http2.close();
    this.#clients = undefined;
  }

  async #readCredentials(): Promise<Credentials> {
    const now = Date.now();
    if (!this.#credentials || now - this.#credentials.read >= CREDENTIALS_AGE_MS) {
      const given: Credentials = {};
      const value = this.#config.applyToHTTPSOptions(given as never).then(() => usable(given));
      this.#credentials = { read: now, value };
      // What could not be read is tried again with the next request.
      value.catch(() => this.#credentials = undefined);
    }
    return await this.#credentials.value;
  }

  /** They keep connections open from one request to the next, for as long as the certificates stay. */
  #clientsWith({ ca, cert, key }: Credentials): Clients {
    const [caText, certText, keyText] = [ca, cert, key].map(asText);
    const material = JSON.stringify([caText, certText, keyText]);
    if (this.#clients?.material !== material) {
      this.close();
      const options = {
        ...(caText && { caCerts: [caText] }),
        ...(certText && keyText && { cert: certText, key: keyText }),
      };
      this.#clients = {
        material,
        http1: Deno.createHttpClient({ ...options, ...CONNECTIONS, http2: false }),
        http2: Deno.createHttpClient(options),
      };
    }
    return this.#clients;
  }
}

interface Clients {
  /** The certificates that they were made with. */
  readonly material: string;
  readonly http1: Deno.HttpClient;
  readonly http2: Deno.HttpClient;
}

/** The library passes over a kubeconfig's `tokenFile`, but can read one, as it does in a pod. */
function withTokenFiles(users: readonly User[], kubeconfig: string): User[] {
  const given = (parseYaml(Deno.readTextFileSync(kubeconfig)) as KubeconfigUsers).users;
  return users.map((user) => {
    const path = given?.find(({ name }) => name === user.name)?.user?.tokenFile;
    if (!path) return user;
    const tokenFile = resolve(dirname(kubeconfig), path);
    return {
      ...user,
      token: undefined,
      authProvider: { name: "tokenFile", config: { tokenFile } },
    };
  });
}

type User = KubeConfig["users"][number];
interface KubeconfigUsers {
  readonly users?: readonly {
    readonly name: string;
    readonly user?: { readonly tokenFile?: string };
  }[];
}

function aboutOf({ method, path }: Pick<Request, "method" | "path">) {
  return { verb: method, path: path.split("?")[0]! };
}

/** An error's message with those of its causes: fetch says the reason only there. */
function reasons(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${reasons(error.cause)}`;
}

/** @throws Error for a client certificate that cannot be used */
function usable(credentials: Credentials): Credentials {
  const [cert, key] = [credentials.cert, credentials.key].map(asText);
  if (cert && key) checkClientCertificate(cert, key);
  return credentials;
}

function asText(material: string | Uint8Array | undefined): string | undefined {
  return material instanceof Uint8Array ? new TextDecoder().decode(material) : material;
}

/** The message of the API server's Status object, or the start of whatever came. */
function problemOf(body: string): string {
  try {
    const { message } = JSON.parse(body);
    if (typeof message === "string") return message;
  } catch {
    // Proxies answer in HTML.
  }
  return body.trim().slice(0, 200);
}
