import type { Log } from "../agent/ports.ts";
import { type Backoff, pauseAfter } from "../async/backoff.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { WarnOnce } from "../async/warn_once.ts";
import type { Certificate } from "../certificates/certificate.ts";

/** Where to listen. */
export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
}

/**
 * Between two tries to listen: short, for while an update rolls the agent before has the port, and
 * whoever probes this one must find it soon after.
 */
const RETRY: Backoff = { first: 250, most: 2_000 };

export interface ServeOptions {
  /** What is served, in words. */
  readonly what: string;
  /** The flag that says where. */
  readonly flag: string;
  /** With it, by HTTPS. */
  readonly certificate?: Certificate;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Serves until the signal is aborted. A port that cannot be had is tried again: whoever holds it must
 * not keep pods from their networks.
 */
export async function serve(
  address: ListenAddress,
  handler: (request: Request) => Promise<Response>,
  { what, flag, certificate, log, clock, signal }: ServeOptions,
): Promise<void> {
  const { hostname, port } = address;
  const problem = new WarnOnce(log);
  for (let failures = 1; !signal.aborted; failures++) {
    let error = "the server ended";
    try {
      const onListen = (bound: Deno.NetAddr) => {
        failures = 1;
        problem.over();
        log.info(`${what} are served`, { address: describeAddress(bound) });
      };
      const onError = (error: unknown) => {
        log.error(`cannot answer a request for ${what}`, { error: errorMessage(error) });
        return new Response("internal error\n", { status: 500 });
      };
      const options = { hostname, port, signal, onListen, onError, ...certificate };
      await Deno.serve(options, handler).finished;
    } catch (cause) {
      error = errorMessage(cause);
    }
    if (signal.aborted) return;
    problem.say(`cannot serve ${what}; trying again (set ${flag} to another address)`, {
      address: describeAddress(address),
      error,
    });
    await clock.sleep(pauseAfter(failures, RETRY), signal).catch(() => {});
  }
}

/** `127.0.0.1:9177`, `[::1]:9177`. */
export function describeAddress({ hostname, port }: ListenAddress): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** The refusal of a method that does not only read; undefined for one that does. */
export function refuseMethod({ method }: Request): Response | undefined {
  if (method === "GET" || method === "HEAD") return undefined;
  return new Response(`${method} is not allowed, only GET\n`, {
    status: 405,
    headers: { "Allow": "GET, HEAD" },
  });
}
