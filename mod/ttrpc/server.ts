import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { RequestSchema, ResponseSchema } from "../../proto/gen/ttrpc/ttrpc_pb.ts";
import type { ByteConnection } from "./connection.ts";
import { Code, TtrpcError } from "./error.ts";
import { DATA_LIMIT, encodeFrame, type Frame, FrameDecoder, FrameType } from "./frame.ts";
import { errorMessage } from "../async/error_message.ts";

/** Answers one call: payload in, payload out. A TtrpcError gives its code, another error Unknown. */
export type Method = (payload: Uint8Array, call: Call) => Promise<Uint8Array>;

/** What a method knows of the call that it answers. */
export interface Call {
  /** Aborted when the connection ended, or the caller's time is over. */
  readonly signal: AbortSignal;
  /** How long the caller waits, in milliseconds; undefined when it does not say. */
  readonly timeout: number | undefined;
}

/** Calls in progress at once on one connection: runtimes ask one thing at a time, so more are a flood. */
const MOST_CALLS = 64;
/** The longest pause of timers, in milliseconds: beyond 2³¹ they fire at once. */
const LONGEST_TIMEOUT = 3_600_000;

/** Methods by `<service>/<method>`. */
export type Methods = ReadonlyMap<string, Method>;

/** The limits of a connection. */
export interface ServeOptions {
  /** The most that a request may be, in bytes. */
  readonly limit?: number;
}

/**
 * Serves one connection until the peer closes it. Calls run side by side; each is answered when it
 * is done, whatever became of those before it.
 */
export async function serve(
  connection: ByteConnection,
  methods: Methods,
  { limit = DATA_LIMIT }: ServeOptions = {},
): Promise<void> {
  const decoder = new FrameDecoder({ limit });
  const ended = new AbortController();
  let lastStreamId = 0;
  let calls = 0;
  try {
    for await (const bytes of connection.incoming) {
      for (const frame of decoder.push(bytes)) {
        if (frame.type !== FrameType.Request) continue;
        const error = refusal(frame, { last: lastStreamId, limit });
        lastStreamId = Math.max(lastStreamId, frame.streamId);
        if (error) {
          void respond(connection, frame.streamId, failure(error));
        } else if (calls >= MOST_CALLS) {
          const busy = `${MOST_CALLS} calls are already in progress`;
          const refused = failure(new TtrpcError(Code.ResourceExhausted, busy));
          void respond(connection, frame.streamId, refused);
        } else {
          calls++;
          void answer(connection, { frame, methods, ended: ended.signal }).finally(() => calls--);
        }
      }
    }
  } finally {
    ended.abort(new TtrpcError(Code.Unavailable, "the connection was closed"));
  }
}

/** Why a request's frame is not acceptable; the connection stays up all the same. */
function refusal(
  { streamId, oversized }: Frame,
  { last, limit }: { readonly last: number; readonly limit: number },
): TtrpcError | undefined {
  if (streamId % 2 === 0) {
    return new TtrpcError(Code.InvalidArgument, `stream id ${streamId} must be odd`);
  }
  if (streamId <= last) {
    return new TtrpcError(Code.InvalidArgument, `stream id ${streamId} must be above ${last}`);
  }
  if (oversized) {
    return new TtrpcError(Code.ResourceExhausted, `the message exceeds ${limit / 2 ** 20} MiB`);
  }
  return undefined;
}

async function answer(
  connection: ByteConnection,
  { frame, methods, ended }: {
    readonly frame: Frame;
    readonly methods: Methods;
    readonly ended: AbortSignal;
  },
): Promise<void> {
  const response = await respondTo(frame, methods, ended).catch(failure);
  // A call whose connection is gone has nobody to answer to.
  if (!ended.aborted) await respond(connection, frame.streamId, response);
}

async function respondTo(
  { data }: Frame,
  methods: Methods,
  ended: AbortSignal,
): Promise<Uint8Array> {
  let request;
  try {
    request = fromBinary(RequestSchema, data);
  } catch (error) {
    throw new TtrpcError(
      Code.InvalidArgument,
      `the request cannot be read: ${errorMessage(error)}`,
    );
  }
  const { service, method, payload, timeoutNano } = request;
  const run = methods.get(`${service}/${method}`);
  if (!run) {
    throw new TtrpcError(Code.Unimplemented, `${service}/${method} is not implemented`);
  }
  const result = await withTimeout(
    Math.min(Number(timeoutNano) / 1e6, LONGEST_TIMEOUT),
    ended,
    (call) => run(payload, call),
  );
  // An empty reply is an empty frame: proto3 leaves out what is empty.
  return toBinary(ResponseSchema, create(ResponseSchema, { payload: result }));
}

/** The peer sends nothing when its time is over, so the time is kept here. 0 means no limit. */
async function withTimeout<T>(
  ms: number,
  ended: AbortSignal,
  run: (call: Call) => Promise<T>,
): Promise<T> {
  if (ms <= 0) return await run({ signal: ended, timeout: undefined });
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new TtrpcError(Code.DeadlineExceeded, `not done within ${ms} ms`);
      over.abort(error);
      reject(error);
    }, ms);
  });
  try {
    const signal = AbortSignal.any([ended, over.signal]);
    return await Promise.race([run({ signal, timeout: ms }), late]);
  } finally {
    clearTimeout(timer);
  }
}

function failure(error: unknown): Uint8Array {
  const code = error instanceof TtrpcError ? error.code : Code.Unknown;
  const message = errorMessage(error);
  return toBinary(ResponseSchema, create(ResponseSchema, { status: { code, message } }));
}

async function respond(connection: ByteConnection, streamId: number, data: Uint8Array) {
  try {
    await connection.write(encodeFrame({ streamId, type: FrameType.Response, flags: 0, data }));
  } catch (error) {
    if (error instanceof RangeError) return await respond(connection, streamId, failure(error));
    // The connection is broken; its reading side ends the service.
  }
}
