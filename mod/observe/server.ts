import type { Log } from "../agent/ports.ts";
import type { Clock } from "../async/clock.ts";
import { type Check, checksResponse } from "./check.ts";
import { metricsResponse, type MetricsText } from "./metrics_text.ts";
import { type ListenAddress, refuseMethod, serve } from "./serve.ts";

/** The header of answers that names the agent: those of one node share a port for a while. */
export const AGENT_HEADER = "Network-DRA-Agent";

/** What tells one agent from another: its pod, or the node that it runs on. */
export function agentName(
  { podUid, nodeName }: { readonly podUid?: string; readonly nodeName: string },
): string {
  return podUid ?? nodeName;
}

/** What there is to see. */
export interface Observed {
  /** See {@link agentName}. */
  readonly agent: string;
  readonly health: () => readonly Check[];
  readonly readiness: () => readonly Check[];
  /** Absent where they are served only to those who may read them. */
  readonly metrics?: MetricsText;
}

/** Serves `/healthz`, `/readyz` and `/metrics` until the signal is aborted. */
export async function serveObserved(
  address: ListenAddress,
  observed: Observed,
  options: { readonly log: Log; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  await serve(address, (request) => answer(request, observed), {
    what: "health and metrics",
    flag: "--listen",
    ...options,
  });
}

async function answer(request: Request, observed: Observed): Promise<Response> {
  const refusal = refuseMethod(request);
  if (refusal) return refusal;
  const { pathname } = new URL(request.url);
  switch (pathname) {
    case "/healthz":
      return checksResponse([
        { name: "process", ok: true, says: "answers" },
        ...observed.health(),
      ]);
    case "/readyz": {
      const response = checksResponse(observed.readiness());
      response.headers.set(AGENT_HEADER, observed.agent);
      return response;
    }
    case "/metrics":
      if (observed.metrics) return await metricsResponse(observed.metrics);
      return new Response("metrics are served by HTTPS alone: see --metrics-secure\n", {
        status: 403,
      });
    default:
      return new Response("not found; use /healthz, /readyz or /metrics\n", { status: 404 });
  }
}
