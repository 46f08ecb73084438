import { errorMessage } from "../async/error_message.ts";
import { Limiter } from "../async/limiter.ts";
import { judge, type JudgeOptions } from "./judge.ts";
import { type AdmissionRequest, answerOf, parseReview } from "./review.ts";
import type { Verdict } from "./verdict.ts";

/** Limits of requests. The API server has its own for objects: 3 MiB of a request's body, old and new. */
export interface HandlerLimits {
  /** Bytes of a body. */
  readonly body: number;
  /** Bodies that are read or judged at the same time; others wait. */
  readonly atOnce: number;
  /** For a whole request, in milliseconds: the API server waits as long as `timeoutSeconds` says. */
  readonly time: number;
}

export const HANDLER_LIMITS: HandlerLimits = { body: 8 * 1024 * 1024, atOnce: 16, time: 1_500 };

/** What the webhook answers with. */
export interface WebhookParts {
  /** What is known at the moment. May wait until anything is. */
  readonly options: (signal: AbortSignal) => Promise<JudgeOptions>;
  /** Told each verdict. */
  readonly judged?: (request: AdmissionRequest, verdict: Verdict) => void;
  readonly limits?: HandlerLimits;
}

/** A body that is longer than the limit. */
class TooLongError extends Error {
  override readonly name = "TooLongError";
}

/** Answers `POST /validate`, `GET /healthz` and `GET /readyz`. The handler does not reject. */
export function webhookHandler(parts: WebhookParts): (request: Request) => Promise<Response> {
  const { limits = HANDLER_LIMITS } = parts;
  const limiter = new Limiter(limits.atOnce);
  return async (request) => {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case "/validate": {
        if (request.method !== "POST") return notAllowed(request, "POST");
        const signal = AbortSignal.timeout(limits.time);
        try {
          const task = () => validate(request, { ...parts, limits, signal });
          return await limiter.run(task, { signal });
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
  { options, judged, limits, signal }: WebhookParts & {
    readonly limits: HandlerLimits;
    readonly signal: AbortSignal;
  },
): Promise<Response> {
  const body = await readBody(request, { most: limits.body, signal });
  const review = parseReview(JSON.parse(body));
  const verdict = judge(review, await options(signal));
  judged?.(review, verdict);
  return Response.json(answerOf(review, verdict));
}

/** @throws TooLongError, the signal's reason, or TypeError for what is not UTF-8 */
async function readBody(
  { body }: Request,
  { most, signal }: { readonly most: number; readonly signal: AbortSignal },
): Promise<string> {
  if (!body) return "";
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const reader = body.getReader();
  const cancel = () => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  let [text, length] = ["", 0];
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      length += part.value.length;
      if (length > most) {
        throw new TooLongError(`the body is longer than ${most} bytes`);
      }
      text += decoder.decode(part.value, { stream: true });
    }
    signal.throwIfAborted();
    return text + decoder.decode();
  } catch (error) {
    await reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** No review could be read, so that none can be answered: it is the caller's mistake, or there was no time. */
function refusal(
  error: unknown,
  { signal, limits }: { readonly signal: AbortSignal; readonly limits: HandlerLimits },
): Response {
  if (signal.aborted) {
    return new Response(`the request took longer than ${limits.time} ms\n`, { status: 503 });
  }
  const status = error instanceof TooLongError ? 413 : 400;
  return new Response(`${errorMessage(error)}\n`, { status });
}
