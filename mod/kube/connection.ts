import { KubeConfig } from "@kubernetes/client-node/config";
import { dirname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse as parseYaml } from "yaml";
import { errorMessage } from "../async/error_message.ts";
import { Notifier } from "../async/notifier.ts";
import { printable } from "../async/printable.ts";
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
  /** By default JSON as it is. */
  readonly accept?: string;
  readonly signal: AbortSignal;
}

/** What a watch says of an object. */
export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: Readonly<Record<string, unknown>>;
}

/**
 * Requests to one API server. The library reads the credentials (kubeconfig, the pod's
 * ServiceAccount, exec plugins), every few seconds again, so that rotated ones are picked up; the
 * requests themselves are plain JSON: typed models would drop fields that they do not know.
 */
export class KubeConnection {
  readonly #config: KubeConfig;
  /** The URL of the API server. */
  readonly server: string;
  /** Notified each time that a request has had no answer. */
  readonly unanswered = new Notifier();
  readonly #timeout: number;
  #credentials: { readonly read: number; readonly value: Promise<Credentials> } | undefined;
  #clients: Clients | undefined;

  /**
   * @param kubeconfig path of a kubeconfig, or one that is loaded; without it the pod's
   *   ServiceAccount is used
   * @param timeout milliseconds after which a request that has no answer is given up
   * @throws Error that says what is missing
   */
  constructor(
    { kubeconfig: given, timeout = REQUEST_TIMEOUT_MS }: {
      readonly kubeconfig?: string | KubeConfig;
      readonly timeout?: number;
    },
  ) {
    this.#timeout = timeout;
    this.#config = new KubeConfig();
    const kubeconfig = typeof given === "string" ? given : given && "the kubeconfig";
    if (typeof given === "string") {
      loadFile(this.#config, given);
    } else if (given) {
      this.#config = given;
    } else if (Deno.env.get("KUBERNETES_SERVICE_HOST")) {
      this.#config.loadFromCluster();
    } else {
      throw new Error("not in a cluster (KUBERNETES_SERVICE_HOST is not set): give --kubeconfig");
    }
    const cluster = this.#config.getCurrentCluster();
    if (!cluster?.server) {
      throw new Error(`${kubeconfig ?? "the ServiceAccount"}: the current context has no cluster`);
    }
    if (!["http:", "https:"].includes(URL.parse(cluster.server)?.protocol ?? "")) {
      throw new Error(
        `${kubeconfig ?? "the ServiceAccount"}: the server ${
          JSON.stringify(cluster.server)
        } of the ` +
          "current context's cluster must be an address such as https://10.0.0.1:6443",
      );
    }
    if (cluster.skipTLSVerify && cluster.server.startsWith("https:")) {
      throw new Error(
        `${kubeconfig}: insecure-skip-tls-verify is not supported: give certificate-authority`,
      );
    }
    this.server = cluster.server.replace(/\/+$/, "");
  }

  /** An answer that is text, such as a pod's log. @throws KubeError */
  async text(request: Request): Promise<string> {
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(this.#timeout)]);
    try {
      return await (await this.#fetch({ ...request, signal })).text();
    } catch (error) {
      throw this.#failure(request, error);
    }
  }

  /**
   * The end of an answer that may be long, such as a pod's log: its last `most` bytes.
   *
   * @param limit milliseconds within which all of it must have come
   * @throws KubeError
   */
  async tail(
    { path, most, limit, signal }: {
      readonly path: string;
      readonly most: number;
      readonly limit: number;
      readonly signal: AbortSignal;
    },
  ): Promise<{ readonly bytes: Uint8Array; readonly cut: boolean }> {
    const request: Request = { method: "GET", path, signal };
    const begun = new AbortController();
    const late = setTimeout(() => begun.abort(new Error("it took too long")), this.#timeout);
    const until = AbortSignal.any([signal, AbortSignal.timeout(limit)]);
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
    // As in a watch: the signal of a fetch does not always reach a body that is silent.
    const stop = () => void reader?.cancel().catch(() => {});
    until.addEventListener("abort", stop, { once: true });
    try {
      const both = AbortSignal.any([until, begun.signal]);
      const { body } = await this.#fetch({ ...request, signal: both });
      clearTimeout(late);
      reader = body!.getReader();
      const end = new LastBytes(most);
      for (;;) {
        const { done, value } = await reader.read();
        until.throwIfAborted();
        if (done) return { bytes: end.bytes(), cut: end.cut };
        end.add(value);
      }
    } catch (error) {
      throw this.#failure(request, error);
    } finally {
      clearTimeout(late);
      until.removeEventListener("abort", stop);
      await reader?.cancel().catch(() => {});
    }
  }

  /**
   * A WebSocket to the API server, once it is open. Messages come as ArrayBuffers, the first of them
   * with the answer that opens it: whoever listens only then has lost them.
   *
   * @throws KubeError with the API server's reason where it refuses
   */
  async webSocket(
    { path, protocols, on, signal }: {
      readonly path: string;
      readonly protocols: readonly string[];
      readonly on: SocketListener;
      readonly signal: AbortSignal;
    },
  ): Promise<WebSocket> {
    const request: Request = { method: "GET", path, signal };
    const until = AbortSignal.any([signal, AbortSignal.timeout(this.#timeout)]);
    try {
      const credentials = await this.#readCredentials();
      until.throwIfAborted();
      return await openSocket(this.server.replace(/^http/, "ws") + path, {
        protocols: [...protocols],
        headers: { ...credentials.headers, "User-Agent": "network-dra" },
        // It tries HTTP/1.1 first, and unlike the other says what is wrong with a certificate.
        client: this.#clientsWith(credentials).http2,
        on,
        signal: until,
      });
    } catch (error) {
      if (!until.aborted) await this.#refusal({ ...request, signal: until });
      throw this.#failure(request, error);
    }
  }

  /** Asks again without a WebSocket, which does not tell its caller the reason. @throws KubeError */
  async #refusal(request: Request): Promise<void> {
    const error = await this.#fetch(request).then(async ({ body }) => {
      await body?.cancel();
    }, (error) => error);
    // A request that is allowed is told that it must be a WebSocket.
    const isReason = error instanceof KubeError && !/upgrade/i.test(error.problem);
    if (isReason) throw error;
  }

  /**
   * The answer's body. What only reads is asked again when the API server says when; whoever writes
   * tries again anyway, with what is to be written then.
   *
   * @throws KubeError
   */
  async request(request: Request): Promise<unknown> {
    return (await this.answer(request)).body;
  }

  /**
   * The same, with when the API server answered by its own clock (the header `Date`, to the second).
   *
   * @throws KubeError
   */
  async answer(
    request: Request,
  ): Promise<{ readonly body: unknown; readonly date?: Date }> {
    const { method, signal } = request;
    for (const began = performance.now();;) {
      const until = AbortSignal.any([signal, AbortSignal.timeout(this.#timeout)]);
      try {
        const response = await this.#fetch({ ...request, signal: until });
        const date = new Date(response.headers.get("Date") ?? NaN);
        return {
          body: await response.json(),
          ...(!Number.isNaN(date.getTime()) && { date }),
        };
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
  async #fetch({ method, path, body, contentType, accept, signal }: Request): Promise<Response> {
    const credentials = await this.#readCredentials();
    const bytes = body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body));
    const clients = this.#clientsWith(credentials);
    const response = await fetch(this.server + path, {
      method,
      body: bytes,
      headers: {
        ...credentials.headers,
        "Accept": accept ?? "application/json",
        "User-Agent": "network-dra",
        ...(bytes && { "Content-Type": contentType ?? "application/json" }),
      },
      client: bytes && bytes.length > HTTP2_BODY ? clients.http1 : clients.http2,
      signal,
    }).catch((error) => {
      // Where the other side went without notice, HTTP/2 would give its one connection all further
      // requests, until the kernel gives that up after a quarter of an hour.
      if (signal.aborted && this.#clients === clients) this.close();
      throw error;
    });
    if (response.ok) return response;
    if (response.status === 401) this.#credentials = undefined;
    const found = problemOf(await response.text());
    const { status } = response;
    // Kubernetes says seconds, never a date.
    const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
    throw new KubeError({ ...aboutOf({ method, path }), status, retryAfter, ...found });
  }

  #failure(request: Request, cause: unknown): KubeError {
    if (cause instanceof KubeError) return cause;
    const problem = cause instanceof SyntaxError
      ? `the answer of ${this.server} is not JSON, or is cut off: is that an API server, and does ` +
        `no proxy before it ask for a login? (${printable(errorMessage(cause))})`
      : `no answer from ${this.server}: ${errorMessage(cause)}`;
    if (!request.signal.aborted) this.unanswered.notify();
    return new KubeError({ ...aboutOf(request), problem, cause });
  }

  /** Requests in progress are completed. */
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

/** Who listens to a WebSocket from its beginning. */
export interface SocketListener {
  readonly message: (data: unknown) => void;
  /** It has ended, whichever side ended it. */
  readonly close: () => void;
}

/** A WebSocket that is open. */
function openSocket(
  url: string,
  { signal, on, ...options }: {
    readonly protocols: string[];
    readonly headers: Record<string, string>;
    readonly client: Deno.HttpClient;
    readonly on: SocketListener;
    readonly signal: AbortSignal;
  },
): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, options);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => on.message(data);
    socket.onclose = () => on.close();
    const settle = (act: () => void) => {
      socket.onopen = socket.onerror = null;
      signal.removeEventListener("abort", stop);
      act();
    };
    const stop = () =>
      settle(() => {
        socket.close();
        reject(signal.reason);
      });
    signal.addEventListener("abort", stop, { once: true });
    socket.onopen = () => settle(() => resolve(socket));
    socket.onerror = (event) =>
      settle(() => reject(new Error((event as ErrorEvent).message || "the WebSocket failed")));
  });
}

/** The last bytes of what comes in pieces. */
class LastBytes {
  readonly #most: number;
  readonly #pieces: Uint8Array[] = [];
  #length = 0;
  cut = false;

  constructor(most: number) {
    this.#most = most;
  }

  add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
    for (;;) {
      const [first] = this.#pieces;
      if (first === undefined || this.#length - first.length < this.#most) return;
      this.#length -= first.length;
      this.#pieces.shift();
      this.cut ||= first.length > 0;
    }
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    this.cut ||= all.length > this.#most;
    return all.subarray(Math.max(0, all.length - this.#most));
  }
}

interface Clients {
  /** The certificates that they were made with. */
  readonly material: string;
  readonly http1: Deno.HttpClient;
  readonly http2: Deno.HttpClient;
}

/** Reads a kubeconfig. @throws Error if it cannot be read, or is not a kubeconfig */
export function loadFile(config: KubeConfig, path: string): void {
  config.loadFromFile(path);
  config.users = withTokenFiles(config.users, path);
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
function problemOf(body: string): Pick<KubeError, "problem" | "fields"> {
  try {
    const { message, details } = JSON.parse(body);
    if (typeof message === "string") {
      return { problem: shown(message, 2_000), fields: fieldsOf(details?.causes) };
    }
  } catch {
    // Proxies answer in HTML.
  }
  return { problem: shown(body, 200) || "the answer has no message", fields: [] };
}

/** Who answers may be no API server, and messages repeat what users wrote. */
function shown(text: string, most: number): string {
  const line = printable(text).trim();
  return line.length > most ? `${line.slice(0, most)}…` : line;
}

function fieldsOf(causes: unknown): string[] {
  return (Array.isArray(causes) ? causes : []).flatMap((cause) =>
    typeof cause?.field === "string" ? [cause.field] : []
  );
}
