/**
 * What the page is served by: its files to anybody on this machine, the cluster's data only to who has the
 * token. The token is in the fragment of the page's address, which a browser sends to nobody; the page sends
 * it in a header. A cookie would go to every port of 127.0.0.1.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { formatEvent, KEEP_ALIVE } from "./event_stream.ts";
import type { PageFiles, ShownCluster } from "./ports.ts";

/** What the server answers from. */
export interface PageServerOptions {
  readonly token: string;
  readonly files: PageFiles;
  readonly cluster: ShownCluster;
  /** Streams end when it is aborted. */
  readonly signal: AbortSignal;
}

/** Names by which a browser reaches this machine alone: any other is a page that was rebound (DNS). */
const HOSTS: readonly string[] = ["127.0.0.1", "localhost"];

/** More pages at a time than anybody has open. */
const MOST_STREAMS = 32;
/** A page that is so far behind is cut off, and reads the whole picture anew. */
const MOST_WAITING = 64;
const KEEP_ALIVE_MS = 15_000;

const encoder = new TextEncoder();

const HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Answers the page's requests. */
export class PageServer {
  readonly #options: PageServerOptions;
  readonly #digest: Uint8Array;
  #streams = 0;

  constructor(options: PageServerOptions) {
    this.#options = options;
    this.#digest = digestOf(options.token);
  }

  /** The answer to one request. */
  handle(request: Request): Response {
    const url = URL.parse(request.url);
    if (url === null) return text(400, "the host of the request is not valid");
    const { hostname, pathname, searchParams } = url;
    if (!HOSTS.includes(hostname)) {
      return text(403, `this page is served as ${HOSTS.join(" or ")} only, not as ${hostname}`);
    }
    if (request.method !== "GET") {
      return text(405, "this server only answers GET: it changes nothing", { allow: "GET" });
    }
    const { html, css, js } = this.#options.files;
    switch (pathname) {
      case "/":
        return answer(html, "text/html; charset=utf-8");
      case "/page.css":
        return answer(css, "text/css; charset=utf-8");
      case "/page.js":
        return answer(js, "text/javascript; charset=utf-8");
      case "/favicon.ico":
        return new Response(null, { status: 204, headers: HEADERS });
    }
    if (!pathname.startsWith("/data/")) return text(404, `there is no ${pathname}`);
    if (!this.#isKnown(request)) {
      return text(401, "the token is missing or wrong: open the address that the command printed");
    }
    switch (pathname) {
      case "/data/events":
        return this.#stream();
      case "/data/way":
        return this.#way(searchParams.get("pod") ?? "");
      default:
        return text(404, `there is no ${pathname}`);
    }
  }

  /** Digests are of one length, so that the time to compare them tells nothing. */
  #isKnown(request: Request): boolean {
    const [, token = ""] = request.headers.get("authorization")?.match(/^Bearer (\S+)$/) ?? [];
    return timingSafeEqual(digestOf(token), this.#digest);
  }

  #way(uid: string): Response {
    const ways = this.#options.cluster.explain(uid);
    if (!ways) return text(404, "the pod is gone");
    return answer(JSON.stringify(ways), "application/json");
  }

  #stream(): Response {
    if (this.#streams >= MOST_STREAMS) {
      return text(503, `${MOST_STREAMS} pages are open already: close one`);
    }
    const { cluster, signal } = this.#options;
    this.#streams++;
    let end = () => {};
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (stream) => {
        const send = (piece: string) => {
          if ((stream.desiredSize ?? 0) > -MOST_WAITING) {
            return stream.enqueue(encoder.encode(piece));
          }
          end();
          stream.close();
        };
        const unsubscribe = cluster.subscribe((changes) =>
          send(formatEvent({ type: "changes", data: JSON.stringify(changes) }))
        );
        const beat = setInterval(() => send(KEEP_ALIVE), KEEP_ALIVE_MS);
        const abort = () => {
          end();
          stream.close();
        };
        signal.addEventListener("abort", abort);
        end = () => {
          end = () => {};
          this.#streams--;
          unsubscribe();
          clearInterval(beat);
          signal.removeEventListener("abort", abort);
        };
        send(formatEvent({ type: "picture", data: JSON.stringify(cluster.picture) }));
      },
      cancel: () => end(),
    });
    return answer(body, "text/event-stream; charset=utf-8");
  }
}

function digestOf(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}

function answer(body: string | ReadableStream<Uint8Array<ArrayBuffer>>, type: string): Response {
  return new Response(body, { headers: { ...HEADERS, "content-type": type } });
}

function text(status: number, sentence: string, more: Record<string, string> = {}): Response {
  const headers = { ...HEADERS, ...more, "content-type": "text/plain; charset=utf-8" };
  return new Response(`${sentence}\n`, { status, headers });
}
