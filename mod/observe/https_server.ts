import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { Readable } from "node:stream";
import type { Certificate } from "../certificates/certificate.ts";
import type { ListenAddress } from "./serve.ts";

/** A connection on which nothing happens for so long is closed; API servers keep theirs for 90 s. */
const IDLE_MS = 120_000;
/** Requests in progress have so long to end. */
const END_MS = 5_000;

export interface HttpsServerOptions {
  readonly certificate: Certificate;
  readonly handler: (request: Request) => Promise<Response>;
  /** Told what the handler, or a connection, fails with. */
  readonly failed: (error: unknown) => void;
}

/** An HTTPS server that can change its certificate while it serves, which Deno.serve cannot. */
export class HttpsServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws Error if it cannot listen at the address */
  static async listen(
    { hostname, port }: ListenAddress,
    { certificate, handler, failed }: HttpsServerOptions,
  ): Promise<HttpsServer> {
    const server = createServer({ ...certificate }, (incoming, outgoing) => {
      answer(incoming, outgoing, handler).catch((error) => {
        failed(error);
        outgoing.destroy();
      });
    });
    server.setTimeout(IDLE_MS);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, hostname, () => {
        server.off("error", reject);
        server.on("error", failed);
        resolve();
      });
    });
    return new HttpsServer(server);
  }

  /** For new connections; those that are open stay as they are. */
  use(certificate: Certificate): void {
    this.#server.setSecureContext({ ...certificate });
  }

  /** Lets requests in progress end. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const late = setTimeout(() => this.#server.closeAllConnections(), END_MS);
    await closed;
    clearTimeout(late);
  }
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handler: HttpsServerOptions["handler"],
): Promise<void> {
  const request = requestOf(incoming);
  if (!request) {
    outgoing.writeHead(400).end();
    return;
  }
  const response = await handler(request);
  const bytes = Buffer.from(await response.arrayBuffer());
  const headers = { ...Object.fromEntries(response.headers), "Content-Length": bytes.length };
  outgoing.writeHead(response.status, headers);
  outgoing.end(request.method === "HEAD" ? undefined : bytes);
}

/** undefined for what no Request can be, such as one with the method TRACE. */
function requestOf(incoming: IncomingMessage): Request | undefined {
  const { method = "GET", url = "/" } = incoming;
  const hasBody = method !== "GET" && method !== "HEAD";
  try {
    return new Request(new URL(url, "https://server"), {
      method,
      headers: headersOf(incoming),
      ...(hasBody && { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array> }),
    });
  } catch {
    return undefined;
  }
}

function headersOf({ headers }: IncomingMessage): Headers {
  const found = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const each of [value ?? []].flat()) found.append(name, each);
  }
  return found;
}
