import dgram from "node:dgram";
import {
  datagramAnswer,
  type Hello,
  plainAddress,
  type Question,
  readLine,
  type Received,
  writeLine,
} from "./frames.ts";

/** Connections at once; what comes then waits. */
const CONNECTIONS = 16;
/** Milliseconds: no measurement takes longer. */
const CONNECTION_LIMIT = 30_000;
const BUFFER = 256 * 1024;

export interface ProbeServerOptions {
  /** The test that it belongs to. */
  readonly run: string;
  readonly name: string;
  readonly port: number;
}

/** Answers other probes of the same test by TCP and UDP, on all addresses of the pod. */
export class ProbeServer implements AsyncDisposable {
  readonly #options: ProbeServerOptions;
  readonly #listener: Deno.TcpListener;
  readonly #socket: dgram.Socket;
  readonly #connections = new Set<Deno.Conn>();
  readonly #accepting: Promise<void>;

  private constructor(
    options: ProbeServerOptions,
    listener: Deno.TcpListener,
    socket: dgram.Socket,
  ) {
    this.#options = options;
    this.#listener = listener;
    this.#socket = socket;
    this.#accepting = this.#accept();
  }

  /** @throws what the kernel says where the port is taken */
  static async start(options: ProbeServerOptions): Promise<ProbeServer> {
    const { run, port } = options;
    // Where the kernel has no IPv6 there is no "::".
    const hostname = hasIpv6() ? "::" : "0.0.0.0";
    const listener = Deno.listen({ hostname, port });
    const socket = dgram.createSocket(hostname === "::" ? "udp6" : "udp4");
    socket.on("message", (message, from) => {
      const answer = datagramAnswer(run, message);
      if (answer) socket.send(answer, from.port, from.address);
    });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind(port, hostname, resolve);
      });
    } catch (error) {
      listener.close();
      throw error;
    }
    // An answer that cannot be sent is one that the other side does not get.
    socket.removeAllListeners("error");
    socket.on("error", () => {});
    return new ProbeServer(options, listener, socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    await this.#accepting;
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }

  async #accept(): Promise<void> {
    const running = new Set<Promise<void>>();
    try {
      for await (const connection of this.#listener) {
        this.#connections.add(connection);
        const serving = this.#serve(connection).finally(() => {
          this.#connections.delete(connection);
          running.delete(serving);
        });
        running.add(serving);
        if (running.size >= CONNECTIONS) await Promise.race(running);
      }
    } finally {
      await Promise.all(running);
    }
  }

  async #serve(connection: Deno.TcpConn): Promise<void> {
    const limit = setTimeout(() => close(connection), CONNECTION_LIMIT);
    try {
      const { run, name } = this.#options;
      const question = await readLine(connection) as unknown as Question;
      if (question.run !== run) return;
      if (question.ask === "stream") return await writeLine(connection, await drain(connection));
      const seenAs = plainAddress(connection.remoteAddr.hostname);
      await writeLine(connection, { run, name, seenAs } satisfies Hello);
    } catch {
      // The other side says what went wrong there.
    } finally {
      clearTimeout(limit);
      close(connection);
    }
  }
}

/** Reads all that comes. */
async function drain(connection: Deno.Conn): Promise<Received> {
  const buffer = new Uint8Array(BUFFER);
  let bytes = 0;
  let began = performance.now();
  for (;;) {
    const read = await connection.read(buffer);
    if (read === null) return { bytes, ms: performance.now() - began };
    if (bytes === 0) began = performance.now();
    bytes += read;
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}

function hasIpv6(): boolean {
  return Deno.networkInterfaces().some(({ family }) => family === "IPv6");
}
