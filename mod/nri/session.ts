import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ConfigureRequestSchema,
  ConfigureResponseSchema,
  type Container,
  Plugin,
  type PodSandbox,
  RegisterPluginRequestSchema,
  Runtime,
  SynchronizeRequestSchema,
  SynchronizeResponseSchema,
} from "../../proto/gen/nri/nri_pb.ts";
import type { Log } from "../agent/ports.ts";
import type { Clock } from "../async/clock.ts";
import { TtrpcClient } from "../ttrpc/client.ts";
import { type Call, type Method, serve } from "../ttrpc/server.ts";
import {
  EVENT_METHODS,
  type Handling,
  type NriEvent,
  type NriHandlers,
  SUBSCRIPTION,
} from "./events.ts";
import { Mux, PLUGIN_SERVICE, RUNTIME_SERVICE, type Socket } from "./mux.ts";

/** What runtimes grant that neither announce it (NRI before 0.7) nor say so in the call. */
const DEFAULT_REQUEST_TIMEOUT_MS = 2000;
/** Runtimes accept plugins one after the other, 5 s each at the most: one may wait for several. */
const REGISTRATION_TIMEOUT_MS = 60_000;
/**
 * An answer that is due is given this much before the runtime would close the connection: on a node
 * with much more work than cores, a timer can be some hundred milliseconds late.
 */
const ANSWER_MARGIN_MS = 500;

/** No runtime can mean a longer time-out, and timers beyond 2³¹ ms fire at once. */
const LONGEST_TIMEOUT_MS = 3_600_000;
/**
 * Runtimes with NRI before 0.7 tell all there is in one message, of more than ttrpc's 4 MiB where it
 * must be, and tell a plugin that refuses it of nothing else; their multiplexer takes this much.
 */
const MESSAGE_LIMIT = 16 * 1024 * 1024;
/** The limit of one synchronization, in bytes: a node has hundreds of pods, of some 10 KB each. */
const SYNCHRONIZE_LIMIT = 64 * 1024 * 1024;

/** How the plugin registers, and the handlers of its events. */
export interface SessionOptions {
  readonly name: string;
  readonly index: string;
  readonly log: Log;
  readonly clock: Clock;
  /** Called when the runtime has sent its whole inventory, and it was processed. */
  readonly onSynchronized: () => void;
  /** Called when an event was dealt with, well or not, with the seconds that it took. */
  readonly onHandled?: (event: NriEvent, seconds: number) => void;
}

/**
 * One connection to the runtime, from registration to its end. Resolves when the runtime closed it
 * or the signal was aborted; rejects when it broke or the runtime refused the plugin.
 */
export async function runSession(
  socket: Socket,
  handlers: NriHandlers,
  { signal, ...options }: SessionOptions & { readonly signal: AbortSignal },
): Promise<void> {
  // Aborted while the socket was being connected.
  if (signal.aborted) return socket.close();
  const mux = new Mux(socket);
  const close = () => mux.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    const session = new Session(handlers, options);
    // Configure can come before the answer to RegisterPlugin: serve first.
    const served = serve(mux.open(PLUGIN_SERVICE), session.methods(), { limit: MESSAGE_LIMIT });
    const runtime = new TtrpcClient(mux.open(RUNTIME_SERVICE));
    const read = mux.run();
    const ended = Promise.all([served, read, register(runtime, options)]);
    await Promise.race([ended, session.failed]);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", close);
    mux.close();
  }
}

async function register(runtime: TtrpcClient, { name, index }: SessionOptions): Promise<void> {
  const request = create(RegisterPluginRequestSchema, { pluginName: name, pluginIdx: index });
  await runtime.call(
    [Runtime.typeName, "RegisterPlugin"],
    toBinary(RegisterPluginRequestSchema, request),
    { timeout: REGISTRATION_TIMEOUT_MS },
  );
}

const EMPTY = new Uint8Array(0);

/** The Plugin service of one connection. */
class Session {
  readonly #handlers: NriHandlers;
  readonly #options: SessionOptions;
  /** What the runtime announced, in milliseconds. */
  #requestTimeout: number | undefined;
  /** What has come so far of a synchronization that comes in parts. */
  #pods: PodSandbox[] = [];
  #containers: Container[] = [];
  /** The bytes that they came in. */
  #size = 0;
  readonly #failed = Promise.withResolvers<never>();
  /** Rejects when the connection is of no use any more, whatever the runtime thinks of it. */
  readonly failed = this.#failed.promise;

  constructor(handlers: NriHandlers, options: SessionOptions) {
    this.#handlers = handlers;
    this.#options = options;
  }

  methods(): Map<string, Method> {
    const methods: Record<string, Method> = {
      Configure: (payload) => Promise.resolve(this.#configure(payload)),
      Synchronize: (payload, call) => this.#synchronize(payload, call),
      // Runtimes end a session by closing the connection.
      Shutdown: () => Promise.resolve(EMPTY),
    };
    for (const [name, read] of Object.entries(EVENT_METHODS)) {
      methods[name] = async (payload, call) => {
        const handling = read(payload);
        if (handling) await this.#handle(handling, call);
        return EMPTY;
      };
    }
    return new Map(
      Object.entries(methods).map(([name, run]) => [`${Plugin.typeName}/${name}`, run]),
    );
  }

  #configure(payload: Uint8Array): Uint8Array {
    const { runtimeName, runtimeVersion, requestTimeout } = fromBinary(
      ConfigureRequestSchema,
      payload,
    );
    this.#requestTimeout = requestTimeout > 0n
      ? Math.min(Number(requestTimeout), LONGEST_TIMEOUT_MS)
      : undefined;
    this.#options.log.info("the container runtime configured the NRI plugin", {
      runtime: `${runtimeName} ${runtimeVersion}`.trim(),
      ...(this.#requestTimeout && { requestTimeout: this.#requestTimeout }),
    });
    return toBinary(
      ConfigureResponseSchema,
      create(ConfigureResponseSchema, { events: SUBSCRIPTION }),
    );
  }

  async #synchronize(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const began = performance.now();
    this.#size += payload.length;
    if (this.#size > SYNCHRONIZE_LIMIT) {
      const error = new Error(`the runtime's inventory exceeds ${SYNCHRONIZE_LIMIT} bytes`);
      this.#failed.reject(error);
      throw error;
    }
    const { pods, containers, more } = fromBinary(SynchronizeRequestSchema, payload, {
      // Most of a container is of no use here, and would be kept as it came.
      readUnknownFields: false,
    });
    for (const pod of pods) this.#pods.push(pod);
    for (const container of containers) this.#containers.push(container);
    if (!more) {
      const [allPods, allContainers] = [this.#pods, this.#containers];
      [this.#pods, this.#containers, this.#size] = [[], [], 0];
      try {
        await this.#handle({
          event: "Synchronize",
          run: (handlers) => handlers.synchronize(allPods, allContainers),
        }, call);
        // A runtime that went away meanwhile, or whose time is over, has not seen the end. A process
        // that was too busy to be in time has had no timer run out either.
        call.signal.throwIfAborted();
        const ms = Math.round(performance.now() - began);
        if (call.timeout && ms >= call.timeout) {
          throw new Error(`synchronization took too long: ${ms} ms`);
        }
      } catch (error) {
        // NRI 0.6 keeps a plugin connected that did not synchronize, but sends it no events.
        this.#failed.reject(error);
        throw error;
      }
      this.#options.onSynchronized();
    }
    return toBinary(SynchronizeResponseSchema, create(SynchronizeResponseSchema, { more }));
  }

  async #handle(handling: Handling, call: Call): Promise<void> {
    const began = performance.now();
    try {
      await this.#inTime(handling, call);
    } finally {
      this.#options.onHandled?.(handling.event, (performance.now() - began) / 1000);
    }
  }

  /**
   * Runs a handler, and sees that an answer is given in time: a runtime that gets none closes the
   * connection and goes on as if all were well. It waits for what is left of the kubelet's call to
   * it, where that is less than what it announced: events of other pods may have come first.
   */
  async #inTime({ run }: Handling, { signal, timeout }: Call): Promise<void> {
    const granted = [this.#requestTimeout, timeout].filter((ms) => ms !== undefined);
    const limit = granted.length > 0 ? Math.min(...granted) : DEFAULT_REQUEST_TIMEOUT_MS;
    const margin = Math.min(ANSWER_MARGIN_MS, limit / 4);
    const due = new AbortController();
    const handled = run(this.#handlers, AbortSignal.any([signal, due.signal]));
    // Most events are dealt with at once; those need no timers.
    if (!handled) return;
    const ended = new AbortController();
    const after = (ms: number) => this.#options.clock.sleep(ms, ended.signal);
    const late = new Promise<never>((_, reject) => {
      after(limit - margin).then(() => due.abort(), () => {});
      // For a handler that does not heed the signal.
      const error = new Error(`not done within the runtime's ${Math.round(limit)} ms`);
      after(limit - margin / 2).then(() => reject(error), () => {});
    });
    try {
      await Promise.race([handled, late]);
    } finally {
      ended.abort();
    }
  }
}
