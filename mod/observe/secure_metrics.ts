import type { Access, AccessReview, Log } from "../agent/ports.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { WarnOnce } from "../async/warn_once.ts";
import { AccessCache } from "./access_cache.ts";
import type { ReadCertificate } from "./certificate.ts";
import { metricsResponse, type MetricsText } from "./metrics_text.ts";
import { type ListenAddress, refuseMethod } from "./serve.ts";
import { serveRenewed } from "./serve_renewed.ts";

/** The longest token that is shown to the API server, in characters; theirs have 1,000 to 2,000. */
const LONGEST_TOKEN = 8_192;

export interface SecureMetrics {
  readonly metrics: MetricsText;
  /** Who may read them. */
  readonly access: AccessReview;
  readonly certificate: ReadCertificate;
}

/**
 * Serves `/metrics` by HTTPS to those whom the API server lets get that path, until the signal is
 * aborted. A certificate that is renewed takes the place of the one before.
 */
export async function serveSecureMetrics(
  address: ListenAddress,
  { metrics, access, certificate: read }: SecureMetrics,
  { log, clock, signal }: {
    readonly log: Log;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const cache = new AccessCache(access, { clock });
  const problem = new WarnOnce(log);
  const handler = async (request: Request) => {
    const refusal = refuseMethod(request) ?? refusePath(request) ??
      await refuseUser(request, cache, problem);
    return refusal ?? await metricsResponse(metrics);
  };
  const options = { what: "secure metrics", flag: "--metrics-secure", log, clock, signal };
  await serveRenewed(address, handler, { ...options, certificate: read, secured: "metrics" });
}

function refusePath(request: Request): Response | undefined {
  if (new URL(request.url).pathname === "/metrics") return undefined;
  return new Response("not found; use /metrics\n", { status: 404 });
}

/** Why whoever asks may not read the metrics; undefined for who may. */
async function refuseUser(
  request: Request,
  cache: AccessCache,
  problem: WarnOnce,
): Promise<Response | undefined> {
  const [, token] = request.headers.get("Authorization")?.match(/^Bearer +(\S+)$/i) ?? [];
  if (token === undefined || token.length > LONGEST_TOKEN) {
    return unauthorized("give the token of a ServiceAccount: Authorization: Bearer TOKEN");
  }
  let access: Access;
  try {
    access = await cache.review(token);
    problem.over();
  } catch (error) {
    problem.say("cannot ask the API server who may read the metrics", {
      error: errorMessage(error),
    });
    return new Response(
      "the API server does not tell the agent whether you may read the metrics: try again; the " +
        "agent's log has the cause\n",
      { status: 503, headers: { "Retry-After": "10" } },
    );
  }
  switch (access.kind) {
    case "allowed":
      return undefined;
    case "unknown":
      return unauthorized("the API server does not know the token: it may have expired");
    case "forbidden":
      return new Response(
        `${access.user} may not get /metrics: bind it to a ClusterRole with the nonResourceURL ` +
          "/metrics and the verb get\n",
        { status: 403 },
      );
  }
}

function unauthorized(why: string): Response {
  return new Response(`${why}\n`, { status: 401, headers: { "WWW-Authenticate": "Bearer" } });
}
