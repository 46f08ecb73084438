import type { DescService } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  type ServerOptions,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { serviceDefinition } from "./service.ts";
import { listenUnix } from "../unix/listen.ts";
import { unixStream } from "../unix/stream.ts";

/** Connections at once: a kubelet has one or two. */
const MOST_CONNECTIONS = 32;
/** Calls at once on one connection. */
const MOST_CALLS = 128;
/** What one connection may hold of requests and answers that were not taken, in MiB. */
const SESSION_MEMORY = 16;
/** Between two tries to accept, when the process or the machine has no descriptor left, in milliseconds. */
const ACCEPT_PAUSE = 100;

/** How long running calls may take when the server closes, in milliseconds. */
const GRACE = 60_000;

/** A gRPC server on one unix socket. */
export class GrpcServer {
  readonly #server: Server;
  readonly #listener: Deno.UnixListener;
  readonly #accepting: Promise<void>;
  #listening = true;
  #connections = 0;

  /** Listens at once, in place of what stood at the path. @throws what Deno.listen throws */
  constructor(
    path: string,
    services: readonly (readonly [DescService, UntypedServiceImplementation])[],
    options: ServerOptions = {},
  ) {
    this.#server = new Server({
      "grpc.max_concurrent_streams": MOST_CALLS,
      "grpc-node.max_session_memory": SESSION_MEMORY,
      ...options,
    });
    for (const [service, implementation] of services) {
      this.#server.addService(serviceDefinition(service), implementation);
    }
    this.#listener = listenUnix(path);
    this.#accepting = this.#accept();
  }

  /** Takes no further connection, lets running calls end, and closes the connections. */
  async close(): Promise<void> {
    this.#stopListening();
    await this.#accepting;
    const timer = setTimeout(() => this.#server.forceShutdown(), GRACE);
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    clearTimeout(timer);
  }

  /** Breaks off what is in progress. */
  destroy(): void {
    this.#stopListening();
    this.#server.forceShutdown();
  }

  #stopListening(): void {
    if (this.#listening) this.#listener.close();
    this.#listening = false;
  }

  async #accept(): Promise<void> {
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    while (this.#listening) {
      try {
        const connection = await this.#listener.accept();
        if (this.#connections >= MOST_CONNECTIONS) {
          connection.close();
          continue;
        }
        this.#connections++;
        const stream = unixStream(connection);
        stream.once("close", () => this.#connections--);
        injector.injectConnection(stream);
      } catch {
        // Closed from this side; or no descriptor is left, which must not end the agent.
        if (this.#listening) await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE));
      }
    }
  }
}
