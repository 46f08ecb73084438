import { type Backoff, pauseAfter } from "../async/backoff.ts";
import type { Clock } from "../async/clock.ts";
import { WarnOnce } from "../async/warn_once.ts";
import type { Log } from "../agent/ports.ts";
import { type Check, checksResponse } from "./check.ts";
import { errorMessage } from "../async/error_message.ts";

/** Where to listen. */
export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
}

/** What there is to see. */
export interface Observed {
  readonly health: () => readonly Check[];
  readonly readiness: () => readonly Check[];
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

/**
 * Between two tries to listen: short, for while an update rolls the agent before has the port, and
 * whoever probes this one must find it soon after.
 */
const RETRY: Backoff = { first: 250, most: 2_000 };

/**
 * Serves `/healthz`, `/readyz` and `/metrics` until the signal is aborted. A port that cannot be had
 * is tried again: whoever holds it must not keep pods from their networks.
 */
export async function serveObserved(
  address: ListenAddress,
  observed: Observed,
  { log, clock, signal }: {
    readonly log: Log;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { hostname, port } = address;
  const problem = new WarnOnce(log);
  for (let failures = 1; !signal.aborted; failures++) {
    let error = "the server ended";
    try {
      const onListen = (bound: Deno.NetAddr) => {
        failures = 1;
        problem.over();
        log.info("health and metrics are served", { address: describeAddress(bound) });
      };
      const onError = (error: unknown) => {
        log.error("health or metrics could not be answered", { error: String(error) });
        return new Response("internal error\n", { status: 500 });
      };
      await Deno.serve(
        { hostname, port, signal, onListen, onError },
        (request) => answer(request, observed),
      ).finished;
    } catch (cause) {
      error = errorMessage(cause);
    }
    if (signal.aborted) return;
    problem.say("cannot serve health and metrics; trying again (--listen names another address)", {
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

async function answer(request: Request, observed: Observed): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response(`${request.method} is not possible, only GET\n`, {
      status: 405,
      headers: { "Allow": "GET, HEAD" },
    });
  }
  switch (pathname) {
    case "/healthz":
      return checksResponse([
        { name: "process", ok: true, says: "answers" },
        ...observed.health(),
      ]);
    case "/readyz":
      return checksResponse(observed.readiness());
    case "/metrics":
      return new Response(await observed.metrics.text(), {
        headers: { "Content-Type": observed.metrics.contentType },
      });
    default:
      return new Response("there are /healthz, /readyz and /metrics\n", { status: 404 });
  }
}
