import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ConfigureRequestSchema,
  Plugin,
  PodSandboxRequestSchema,
  RegisterPluginRequestSchema,
  Runtime,
  SynchronizeRequestSchema,
} from "../../proto/gen/nri/nri_pb.ts";
import { Mux, PLUGIN_SERVICE, RUNTIME_SERVICE } from "../../mod/nri/mux.ts";
import { TtrpcClient } from "../../mod/ttrpc/client.ts";
import { serve } from "../../mod/ttrpc/server.ts";
import { listenUnix } from "../../mod/unix/listen.ts";

/** A plugin that was dropped comes again within five seconds; in milliseconds. */
const PATIENCE = 20_000;

/** One connection of the plugin, in the hands of a runtime that may do anything with it. */
export class PluginConnection {
  readonly socket: Deno.UnixConn;
  #mux: Mux | undefined;
  #client: TtrpcClient | undefined;
  #ended: Promise<unknown> = Promise.resolve();
  #closed = false;
  readonly #closing = Promise.withResolvers<void>();
  #reading: Promise<void> = Promise.resolve();

  constructor(socket: Deno.UnixConn) {
    this.socket = socket;
  }

  /** Lets the plugin register, and from then on reads what it says. */
  async register(): Promise<string> {
    const registered = Promise.withResolvers<string>();
    const { socket } = this;
    const mux = this.#mux = new Mux({
      read: async (into) => {
        await this.#reading;
        return await socket.read(into);
      },
      write: (bytes) => socket.write(bytes),
      close: () => socket.close(),
    });
    const methods = new Map([[`${Runtime.typeName}/RegisterPlugin`, (payload: Uint8Array) => {
      registered.resolve(fromBinary(RegisterPluginRequestSchema, payload).pluginName);
      return Promise.resolve(new Uint8Array(0));
    }]]);
    void serve(mux.open(RUNTIME_SERVICE), methods).catch(() => {});
    this.#client = new TtrpcClient(mux.open(PLUGIN_SERVICE));
    this.#ended = mux.run().catch(() => {});
    return await registered.promise;
  }

  async configure(): Promise<void> {
    await this.call("Configure", ConfigureRequestSchema, {
      runtimeName: "hostile",
      requestTimeout: 2000n,
    });
  }

  async synchronize(): Promise<void> {
    await this.call("Synchronize", SynchronizeRequestSchema, {});
  }

  async sandboxEvent(
    method: "RunPodSandbox" | "StopPodSandbox",
    pod: MessageInitShape<typeof PodSandboxRequestSchema>["pod"],
  ): Promise<void> {
    await this.call(method, PodSandboxRequestSchema, { pod });
  }

  async call<S extends DescMessage>(
    method: string,
    schema: S,
    message: MessageInitShape<S>,
  ): Promise<void> {
    const payload = toBinary(schema, create(schema, message));
    await this.#client!.call([Plugin.typeName, method], payload, { timeout: 10_000 });
  }

  /** Takes nothing more from the socket, once what is being read has come. */
  stopReading(): void {
    this.#reading = this.#closing.promise;
  }

  /** Writes bytes past everything. Rejects when the plugin has closed. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.socket.write(bytes.subarray(at));
  }

  /** Resolves when the plugin has closed the connection that register() began to read. */
  async closed(): Promise<void> {
    await this.#ended;
  }

  close(): void {
    this.#closing.resolve();
    if (this.#closed) return;
    this.#closed = true;
    if (this.#mux) this.#mux.close();
    else this.socket.close();
  }
}

/** A runtime's socket that hands out the connections that come. */
export class HostileRuntime {
  readonly #listener: Deno.UnixListener;
  readonly #connections: PluginConnection[] = [];

  constructor(path: string) {
    this.#listener = listenUnix(path);
  }

  /** The next connection: a plugin that was dropped comes again. */
  async next(): Promise<PluginConnection> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("the plugin does not connect")), PATIENCE);
    });
    try {
      const connection = new PluginConnection(
        await Promise.race([this.#listener.accept(), late]),
      );
      this.#connections.push(connection);
      return connection;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes what is still open of the connections that were handed out. */
  closeAll(): void {
    for (const connection of this.#connections.splice(0)) connection.close();
  }

  /** The next connection, as a well-behaved runtime treats it. */
  async synchronized(): Promise<PluginConnection> {
    const connection = await this.next();
    await connection.register();
    await connection.configure();
    await connection.synchronize();
    return connection;
  }

  stop(): void {
    this.#listener.close();
  }
}
