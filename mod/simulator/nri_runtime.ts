import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ConfigureRequestSchema,
  ConfigureResponseSchema,
  type Container,
  CreateContainerRequestSchema,
  Event,
  Plugin,
  type PodSandbox,
  PodSandboxRequestSchema,
  RegisterPluginRequestSchema,
  Runtime,
  StateChangeEventSchema,
  SynchronizeRequestSchema,
  SynchronizeResponseSchema,
} from "../../proto/gen/nri/nri_pb.ts";
import { Mux, PLUGIN_SERVICE, RUNTIME_SERVICE, type Socket } from "../nri/mux.ts";
import { TtrpcClient } from "../ttrpc/client.ts";
import { Code, TtrpcError } from "../ttrpc/error.ts";
import { serve } from "../ttrpc/server.ts";
import { listenUnix } from "../unix/listen.ts";

export interface NriRuntimeOptions {
  readonly socketPath: string;
  /** In milliseconds; the runtime announces it to the plugin and enforces it. */
  readonly requestTimeout?: number;
  /** Whether sandbox events are separate calls (NRI 0.12) or StateChange (earlier). */
  readonly dedicatedCalls?: boolean;
  /** How many pods or containers one part of a synchronization holds. */
  readonly partSize?: number;
  /** A plugin was disconnected because it did not answer in time. */
  readonly onLate?: (method: string) => void;
  /** The pods and containers that exist when a plugin registers. */
  readonly inventory?: () => { readonly pods: PodSandbox[]; readonly containers: Container[] };
}

/** A plugin as the runtime sees it. */
interface Registered {
  readonly name: string;
  readonly index: string;
  readonly events: number;
  readonly client: TtrpcClient;
  readonly mux: Mux;
}

const DEFAULT_REQUEST_TIMEOUT = 2000;

/**
 * The runtime's side of NRI, for `try` and the tests: it registers plugins, tells them what there
 * is, and asks them about events one at a time for the whole node, as containerd and CRI-O do. Like
 * those it closes a plugin that does not answer in time, and goes on as if it had agreed.
 */
export class NriRuntime {
  readonly #options: NriRuntimeOptions;
  readonly #plugins = new Set<Registered>();
  readonly #muxes = new Set<Mux>();
  #listener: Deno.UnixListener | undefined;
  #lock: Promise<unknown> = Promise.resolve();
  #waiting: (() => void)[] = [];

  constructor(options: NriRuntimeOptions) {
    this.#options = options;
  }

  start(): void {
    this.#listener = listenUnix(this.#options.socketPath);
    void this.#accept(this.#listener);
  }

  /** Closes all connections and removes the socket. */
  stop(): void {
    this.#listener?.close();
    this.#listener = undefined;
    this.disconnect();
    try {
      Deno.removeSync(this.#options.socketPath);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Closes the connections of all plugins, also unfinished ones, as a runtime does after a time-out. */
  disconnect(): void {
    for (const mux of this.#muxes) mux.close();
  }

  /** The names of the plugins that are synchronized, with their indices: `53-network-dra`. */
  get plugins(): string[] {
    return [...this.#plugins].map(({ index, name }) => `${index}-${name}`);
  }

  /** The events to which a plugin subscribed, as a set of bits. */
  get subscriptions(): number[] {
    return [...this.#plugins].map(({ events }) => events);
  }

  /** Resolves when a plugin is synchronized. */
  async synchronized(): Promise<void> {
    while (this.#plugins.size === 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  runPodSandbox(pod: PodSandbox): Promise<void> {
    return this.#sandboxEvent(Event.RUN_POD_SANDBOX, { pod, method: "RunPodSandbox" });
  }

  stopPodSandbox(pod: PodSandbox): Promise<void> {
    return this.#sandboxEvent(Event.STOP_POD_SANDBOX, { pod, method: "StopPodSandbox" });
  }

  removePodSandbox(pod: PodSandbox): Promise<void> {
    return this.#sandboxEvent(Event.REMOVE_POD_SANDBOX, { pod, method: "RemovePodSandbox" });
  }

  createContainer(pod: PodSandbox, container: Container): Promise<void> {
    const request = create(CreateContainerRequestSchema, { pod, container });
    return this.#tell(Event.CREATE_CONTAINER, {
      method: "CreateContainer",
      payload: toBinary(CreateContainerRequestSchema, request),
    });
  }

  #sandboxEvent(
    event: Event,
    { pod, method }: { readonly pod: PodSandbox; readonly method: string },
  ): Promise<void> {
    if (this.#options.dedicatedCalls) {
      const payload = toBinary(PodSandboxRequestSchema, create(PodSandboxRequestSchema, { pod }));
      return this.#tell(event, { method, payload });
    }
    const change = create(StateChangeEventSchema, { event, pod });
    return this.#tell(event, {
      method: "StateChange",
      payload: toBinary(StateChangeEventSchema, change),
    });
  }

  /** One event of the node at a time. Rejects with the error that a plugin answered. */
  #tell(
    event: Event,
    { method, payload }: { readonly method: string; readonly payload: Uint8Array },
  ): Promise<void> {
    const told = this.#lock.then(async () => {
      for (const plugin of [...this.#plugins]) {
        if ((plugin.events & (1 << (event - 1))) === 0) continue;
        try {
          await plugin.client.call([Plugin.typeName, method], payload, { timeout: this.#timeout });
        } catch (error) {
          const fatal = error instanceof TtrpcError &&
            (error.code === Code.DeadlineExceeded || error.code === Code.Unavailable);
          if (!fatal) throw error;
          if (error.code === Code.DeadlineExceeded) this.#options.onLate?.(method);
          plugin.mux.close();
        }
      }
    });
    this.#lock = told.catch(() => {});
    return told;
  }

  get #timeout(): number {
    return this.#options.requestTimeout ?? DEFAULT_REQUEST_TIMEOUT;
  }

  async #accept(listener: Deno.UnixListener): Promise<void> {
    for await (const socket of listener) {
      // Real runtimes also accept one plugin after another.
      await this.#register(socket).catch(() => {});
    }
  }

  async #register(socket: Socket): Promise<void> {
    const mux = new Mux(socket);
    this.#muxes.add(mux);
    const registered = Promise.withResolvers<{ name: string; index: string }>();
    registered.promise.catch(() => {});
    const methods = new Map([[`${Runtime.typeName}/RegisterPlugin`, (payload: Uint8Array) => {
      const { pluginName, pluginIdx } = fromBinary(RegisterPluginRequestSchema, payload);
      registered.resolve({ name: pluginName, index: pluginIdx });
      return Promise.resolve(new Uint8Array(0));
    }]]);
    void serve(mux.open(RUNTIME_SERVICE), methods).catch(() => {});
    const client = new TtrpcClient(mux.open(PLUGIN_SERVICE));
    const ended = mux.run().catch(() => {}).finally(() => {
      this.#muxes.delete(mux);
      registered.reject(new Error("the plugin went away"));
    });
    const { name, index } = await registered.promise;
    const lock = this.#lock;
    const ready = lock.then(async () => {
      const events = await this.#configure(client);
      await this.#synchronize(client);
      const plugin = { name, index, events, client, mux };
      this.#plugins.add(plugin);
      void ended.then(() => this.#plugins.delete(plugin));
    });
    this.#lock = ready.catch(() => mux.close());
    await this.#lock;
    this.#waiting.splice(0).forEach((wake) => wake());
  }

  async #configure(client: TtrpcClient): Promise<number> {
    const request = create(ConfigureRequestSchema, {
      runtimeName: "simulated",
      runtimeVersion: "0",
      registrationTimeout: 5000n,
      requestTimeout: BigInt(this.#timeout),
    });
    const response = await client.call(
      [Plugin.typeName, "Configure"],
      toBinary(ConfigureRequestSchema, request),
      { timeout: this.#timeout },
    );
    return fromBinary(ConfigureResponseSchema, response).events;
  }

  async #synchronize(client: TtrpcClient): Promise<void> {
    const { pods, containers } = this.#options.inventory?.() ?? { pods: [], containers: [] };
    const size = this.#options.partSize ?? Math.max(pods.length, containers.length, 1);
    const parts = Math.max(1, Math.ceil(Math.max(pods.length, containers.length) / size));
    for (let part = 0; part < parts; part++) {
      const more = part < parts - 1;
      const request = create(SynchronizeRequestSchema, {
        pods: pods.slice(part * size, (part + 1) * size),
        containers: containers.slice(part * size, (part + 1) * size),
        more,
      });
      const response = fromBinary(
        SynchronizeResponseSchema,
        await client.call(
          [Plugin.typeName, "Synchronize"],
          toBinary(SynchronizeRequestSchema, request),
          { timeout: this.#timeout },
        ),
      );
      if (response.more !== more) throw new Error("the plugin lost count of the parts");
    }
  }
}
