import { type Backoff, pauseAfter } from "../async/backoff.ts";
import type { Clock } from "../async/clock.ts";
import type { Lack, Log } from "../agent/ports.ts";
import type { NriEvent, NriHandlers } from "./events.ts";
import { runSession } from "./session.ts";
import { errorMessage } from "../async/error_message.ts";

/** Where the plugin connects, and how it registers. */
export interface NriPluginOptions {
  /** The runtime's NRI socket. */
  readonly socketPath: string;
  /** Letters, digits, "_", ".", "+" and "-". */
  readonly name: string;
  /** Two digits: the plugin's position among others. */
  readonly index: string;
  readonly log: Log;
  readonly clock: Clock;
  /**
   * Called with true when the runtime has told all there is, and that was dealt with; with false at the
   * end of each connection, for of one that broke meanwhile it may have been dealt with as well.
   */
  readonly onState?: (synchronized: boolean) => void;
  /** An event was dealt with, well or not, in so many seconds. */
  readonly onHandled?: (event: NriEvent, seconds: number) => void;
}

/** Between two tries to connect. */
const RETRY: Backoff = { first: 100, most: 5_000 };
/** For so long after it was started, or was taken, a runtime may need to synchronize. */
const USUAL_MS = 10_000;

/** How far the connection has come. */
type ConnectionState =
  | { readonly kind: "connecting" }
  /** After a failure, perhaps: `before`. */
  | { readonly kind: "connected"; readonly before?: Lack }
  | { readonly kind: "synchronized" }
  /** It is tried again. */
  | { readonly kind: "failed"; readonly lack: Lack };

/** An NRI plugin that stays connected: it connects again, with growing pauses, whenever it must. */
export class NriPlugin {
  readonly #options: NriPluginOptions;
  readonly #handlers: NriHandlers;
  #state: ConnectionState = { kind: "connecting" };

  /** @throws RangeError when name or index are not what runtimes accept */
  constructor(options: NriPluginOptions, handlers: NriHandlers) {
    if (!/^[A-Za-z0-9_.+-]+$/.test(options.name)) {
      throw new RangeError(`invalid NRI plugin name ${JSON.stringify(options.name)}`);
    }
    if (!/^[0-9]{2}$/.test(options.index)) {
      throw new RangeError(
        `the NRI plugin index ${JSON.stringify(options.index)} must be two digits`,
      );
    }
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Whether there is a connection to the runtime. */
  get isConnected(): boolean {
    return this.#state.kind === "connected" || this.#state.kind === "synchronized";
  }

  /** Why the runtime does not know the plugin; undefined while it does. */
  lack(): Lack | undefined {
    const { socketPath } = this.#options;
    switch (this.#state.kind) {
      case "synchronized":
        return undefined;
      case "failed":
        return this.#state.lack;
      case "connected":
        return this.#state.before ?? notSynchronized(socketPath);
      case "connecting":
        return notSynchronized(socketPath);
    }
  }

  /** Runs until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { socketPath: path, log, clock, onState } = this.#options;
    let failures = 0;
    let lack: Lack | undefined;
    while (!signal.aborted) {
      let failure: unknown = new Error("the container runtime closed the connection");
      let connected = false;
      try {
        const socket = await Deno.connect({ transport: "unix", path });
        connected = true;
        this.#state = { kind: "connected", before: lack };
        await runSession(socket, this.#handlers, {
          ...this.#options,
          signal,
          onSynchronized: () => {
            failures = 0;
            lack = undefined;
            this.#state = { kind: "synchronized" };
            log.info("the NRI plugin is synchronized", { socket: path });
            onState?.(true);
          },
        });
      } catch (cause) {
        failure = cause;
      }
      lack = explain(failure, path);
      this.#state = { kind: "failed", lack };
      if (connected) onState?.(false);
      if (signal.aborted) break;
      log.debug("no connection to the container runtime; trying again", { error: lack.problem });
      await clock.sleep(pauseAfter(++failures, RETRY), signal).catch(() => {});
    }
  }
}

function notSynchronized(path: string): Lack {
  return {
    problem: `the container runtime at ${path} has not synchronized yet`,
    whatToDo: "check the container runtime's log",
    usualFor: USUAL_MS,
  };
}

/** @param error why there is no connection */
function explain(error: unknown, path: string): Lack {
  const enable = "enable NRI in the container runtime's configuration and restart the runtime";
  const name = "set --nri-socket (the chart's value nriSocket) if its socket is elsewhere";
  if (error instanceof Deno.errors.NotFound) {
    return { problem: `the socket ${path} does not exist`, whatToDo: `${enable}, or ${name}` };
  }
  if (error instanceof Deno.errors.ConnectionRefused) {
    return {
      problem: `nothing listens on the socket ${path}`,
      whatToDo: `start the container runtime; if it runs, ${enable}, or ${name}`,
    };
  }
  return {
    problem: `no connection to the container runtime at ${path}: ${errorMessage(error)}`,
    whatToDo: "check the container runtime's log",
  };
}
