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

/** How long running calls may take when the server closes, in milliseconds. */
const GRACE = 60_000;

/** A gRPC server on one unix socket. */
export class GrpcServer {
  readonly #server: Server;
  readonly #listener: Deno.UnixListener;
  readonly #accepting: Promise<void>;
  #listening = true;

  /** Listens at once, in place of what stood at the path. @throws what Deno.listen throws */
  constructor(
    path: string,
    services: readonly (readonly [DescService, UntypedServiceImplementation])[],
    options: ServerOptions = {},
  ) {
    this.#server = new Server(options);
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

  /** Breaks off what is under way. */
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
    try {
      for await (const connection of this.#listener) {
        injector.injectConnection(unixStream(connection));
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}
