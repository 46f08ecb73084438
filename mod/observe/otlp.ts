import { SpanStatusCode } from "@opentelemetry/api";
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Log, PodStep } from "../agent/ports.ts";
import { errorMessage } from "../async/error_message.ts";
import { WarnOnce } from "../async/warn_once.ts";

/** Steps that wait to be sent; beyond it they are dropped. */
const QUEUE = 2_048;
const BATCH = 256;
const INTERVAL_MS = 2_000;
/** What the collector may take for one batch, in milliseconds. */
const SEND_LIMIT_MS = 5_000;
/** The library is told so in any case: what fails is dropped, and was said. */
const SUCCESS = 0;

export interface OtlpOptions {
  /** The collector's address without the path: `http://10.0.0.5:4318`. */
  readonly endpoint: string;
  readonly nodeName: string;
  readonly version: string;
  readonly log: Log;
}

/** A step with its place in time, in milliseconds since 1970, and in its trace. */
export interface EndedStep extends PodStep {
  readonly end: number;
  readonly traceId: string;
}

export interface StepExporter {
  /** Returns at once. */
  send(step: EndedStep): void;
  /** Resolves when what is left was sent, or could not be. */
  close(): Promise<void>;
}

/** Sends steps as spans, in batches, by OTLP over HTTP (JSON). Loads OpenTelemetry's library. */
export function otlpExporter({ endpoint, nodeName, version, log }: OtlpOptions): StepExporter {
  let nextTrace = "";
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      "service.name": "network-dra",
      "service.version": version,
      "k8s.node.name": nodeName,
    }),
    // A step has no step above it: its trace is its pod's.
    idGenerator: { generateTraceId: () => nextTrace, generateSpanId: spanId },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: collector(`${endpoint}/v1/traces`, log),
        maxQueueSize: QUEUE,
        maxExportBatchSize: BATCH,
        scheduledDelayMillis: INTERVAL_MS,
        exportTimeoutMillis: SEND_LIMIT_MS,
      }),
    ],
  });
  const tracer = provider.getTracer("network-dra", version);
  return {
    send: ({ name, pod, seconds, about, error, end, traceId }) => {
      nextTrace = traceId;
      const span = tracer.startSpan(name, {
        root: true,
        startTime: end - 1000 * seconds,
        attributes: {
          "k8s.namespace.name": pod.namespace,
          "k8s.pod.name": pod.name,
          "k8s.pod.uid": pod.uid,
          ...about,
        },
      });
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
      span.end(end);
    },
    close: () => provider.shutdown(),
  };
}

/** Deno's own fetch: the library's exporter would use node:http, and wait longer with each failure. */
function collector(url: string, log: Log): SpanExporter {
  const problem = new WarnOnce(log);
  const send = async (spans: ReadableSpan[]) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "User-Agent": "network-dra" },
      body: JsonTraceSerializer.serializeRequest(spans)!.slice(),
      signal: AbortSignal.timeout(SEND_LIMIT_MS),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`${url} answers with status ${response.status}`);
  };
  return {
    export: (spans, done) => {
      send(spans).then(() => problem.over(), (error) => {
        problem.say("cannot send traces; they are dropped", {
          spans: spans.length,
          error: errorMessage(error),
        });
      }).then(() => done({ code: SUCCESS }));
    },
    shutdown: () => Promise.resolve(),
  };
}

function spanId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 16);
}
