import { errorMessage } from "../async/error_message.ts";
import { FieldError } from "../claim/field.ts";
import { Bodies, type BodyLimits, GaveWayError, TooLongError } from "./bodies.ts";
import { judge, type JudgeOptions } from "./judge.ts";
import { isDeeper } from "./nesting.ts";
import { type AdmissionRequest, answerOf, parseReview } from "./review.ts";
import type { Verdict } from "./verdict.ts";

/**
 * Limits of requests. The API server has its own for objects: 3 MiB of a request's body, old and new,
 * nested at most 10,000 levels deep.
 */
export interface HandlerLimits extends BodyLimits {
  /** Levels of lists and objects in a body. */
  readonly nesting: number;
  /** For a whole request, in milliseconds: the API server waits as long as `timeoutSeconds` says. */
  readonly time: number;
}

const MIB = 1024 * 1024;
export const HANDLER_LIMITS: HandlerLimits = {
  body: 8 * MIB,
  bodies: 64 * MIB,
  nesting: 10_100,
  time: 1_500,
};

/** What the webhook answers with. */
export interface WebhookParts {
  /** What is known at the moment. May wait until anything is. */
  readonly options: (signal: AbortSignal) => Promise<JudgeOptions>;
  /** Told each verdict. */
  readonly judged?: (request: AdmissionRequest, verdict: Verdict) => void;
  readonly limits?: HandlerLimits;
}

/** Answers `POST /validate`, `GET /healthz` and `GET /readyz`. The handler does not reject. */
export function webhookHandler(parts: WebhookParts): (request: Request) => Promise<Response> {
  const { limits = HANDLER_LIMITS } = parts;
  const bodies = new Bodies(limits);
  return async (request) => {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case "/validate": {
        if (request.method !== "POST") return notAllowed(request, "POST");
        const signal = AbortSignal.timeout(limits.time);
        try {
          return await validate(request, { ...parts, bodies, limits, signal });
        } catch (error) {
          return refusal(error, { signal, limits });
        }
      }
      case "/healthz":
        return isRead(request) ? new Response("ok\n") : notAllowed(request, "GET");
      case "/readyz": {
        if (!isRead(request)) return notAllowed(request, "GET");
        return await readiness(parts, limits);
      }
      default:
        return new Response("not found; use /validate, /healthz or /readyz\n", { status: 404 });
    }
  };
}

/** It is ready once it knows the cluster's classes. */
async function readiness(
  { options }: WebhookParts,
  { time }: HandlerLimits,
): Promise<Response> {
  try {
    await options(AbortSignal.timeout(time));
    return new Response("ok\n");
  } catch {
    return new Response("the API server has not answered yet\n", { status: 503 });
  }
}

function isRead({ method }: Request): boolean {
  return method === "GET" || method === "HEAD";
}

function notAllowed({ method }: Request, only: string): Response {
  const headers = { Allow: only };
  return new Response(`${method} is not allowed, only ${only}\n`, { status: 405, headers });
}

async function validate(
  request: Request,
  { options, judged, bodies, limits, signal }: WebhookParts & {
    readonly bodies: Bodies;
    readonly limits: HandlerLimits;
    readonly signal: AbortSignal;
  },
): Promise<Response> {
  // From the whole body to the verdict nothing waits: the objects of one request are in memory at a time.
  const known = await options(signal);
  const body = await bodies.read(request, signal);
  if (isDeeper(body, limits.nesting)) {
    throw new FieldError(
      "the body",
      `is nested too deeply: at most ${limits.nesting} levels are allowed`,
    );
  }
  const review = parseReview(JSON.parse(body));
  const verdict = judge(review, known);
  judged?.(review, verdict);
  return Response.json(answerOf(review, verdict));
}

/** No review could be read, so that none can be answered: it is the caller's mistake, or there was no time. */
function refusal(
  error: unknown,
  { signal, limits }: { readonly signal: AbortSignal; readonly limits: HandlerLimits },
): Response {
  if (signal.aborted) {
    return new Response(`the request took longer than ${limits.time} ms\n`, { status: 503 });
  }
  const status = error instanceof TooLongError ? 413 : error instanceof GaveWayError ? 503 : 400;
  return new Response(`${errorMessage(error)}\n`, { status });
}
