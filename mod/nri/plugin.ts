import { type Backoff, pauseAfter } from "../async/backoff.ts";
import type { Clock } from "../async/clock.ts";
import { WarnOnce } from "../async/warn_once.ts";
import type { Log } from "../agent/ports.ts";
import type { NriEvent, NriHandlers } from "./events.ts";
import { runSession } from "./session.ts";
import { errorMessage } from "../async/error_message.ts";

/** Where the plugin connects, and how it registers. */
export interface NriPluginOptions {
  /** The runtime's NRI socket. */
  readonly socketPath: string;
  /** Letters, digits, "_", ".", "+" and "-". */
  readonly name: string;
  /** Two digits: where the plugin stands among others. */
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

/** An NRI plugin that stays connected: it connects anew, with growing pauses, whenever it must. */
export class NriPlugin {
  readonly #options: NriPluginOptions;
  readonly #handlers: NriHandlers;

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

  /** Runs until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { socketPath: path, log, clock, onState } = this.#options;
    const problem = new WarnOnce(log);
    let failures = 0;
    while (!signal.aborted) {
      let error = "the container runtime closed the connection";
      let connected = false;
      try {
        const socket = await Deno.connect({ transport: "unix", path });
        connected = true;
        await runSession(socket, this.#handlers, {
          ...this.#options,
          signal,
          onSynchronized: () => {
            failures = 0;
            problem.over();
            log.info("the NRI plugin is synchronized", { socket: path });
            onState?.(true);
          },
        });
      } catch (cause) {
        error = explain(cause);
      }
      if (connected) onState?.(false);
      if (signal.aborted) break;
      problem.say("no connection to the container runtime's NRI socket; trying again", {
        socket: path,
        error,
      });
      await clock.sleep(pauseAfter(++failures, RETRY), signal).catch(() => {});
    }
  }
}

function explain(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) {
    return "the socket is not there: is NRI enabled in the container runtime?";
  }
  return errorMessage(error);
}
