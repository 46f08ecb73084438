import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { Buffer } from "node:buffer";
import { type DescMethod, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { methodDefinition } from "./service.ts";
import { unixStream } from "../unix/stream.ts";
import { errorMessage } from "../async/error_message.ts";

/** The status codes that are told apart (gRPC core concepts, status codes). */
const CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

export type GrpcCode = (typeof CODES)[number];

/** A call that did not succeed. */
export class GrpcError extends Error {
  override readonly name = "GrpcError";
  readonly code: GrpcCode;

  constructor(code: GrpcCode, details: string) {
    super(`${code}: ${details}`);
    this.code = code;
  }
}

/** Length-prefixed messages: one byte that says whether it is compressed, four bytes of length. */
const PREFIX = 5;

/**
 * Calls gRPC methods on one unix socket. Of the protocol (gRPC over HTTP/2) it has what a kubelet's
 * and a runtime's client need: unary and server-streaming calls, deadlines, cancellation.
 */
export class GrpcClient {
  readonly #path: string;
  readonly #authority: string;
  #session: Promise<ClientHttp2Session> | undefined;

  /** @param authority sent as `:authority` */
  constructor(path: string, { authority = "localhost" }: { readonly authority?: string } = {}) {
    this.#path = path;
    this.#authority = authority;
  }

  /** One unary call. Rejects with a GrpcError, also when `timeout` milliseconds have passed. */
  async call<M extends DescMethod>(
    method: M,
    request: Partial<MessageShape<M["input"]>>,
    { timeout, signal }: { readonly timeout: number; readonly signal?: AbortSignal },
  ): Promise<MessageShape<M["output"]>> {
    const late = AbortSignal.timeout(timeout);
    const until = signal ? AbortSignal.any([signal, late]) : late;
    const answers: MessageShape<M["output"]>[] = [];
    try {
      // To the end of the call: to leave at the message would reset its stream, and servers send
      // away clients that reset many.
      for await (const message of this.stream(method, request, until)) answers.push(message);
      if (answers[0]) return answers[0];
    } catch (error) {
      if (!until.aborted) throw error;
    }
    if (signal?.aborted) throw new GrpcError("CANCELLED", "the call was cancelled");
    if (late.aborted) throw new GrpcError("DEADLINE_EXCEEDED", `no answer within ${timeout} ms`);
    throw new GrpcError("INTERNAL", "the call ended without a message");
  }

  /**
   * A server-streaming call; ends when the signal is aborted or the server ends it. Rejects with a
   * GrpcError.
   */
  async *stream<M extends DescMethod>(
    method: M,
    request: Partial<MessageShape<M["input"]>>,
    signal: AbortSignal,
  ): AsyncGenerator<MessageShape<M["output"]>> {
    const { path, requestSerialize } = methodDefinition(method);
    const session = await this.#connected();
    const call = session.request({
      ":method": "POST",
      ":path": path,
      ":authority": this.#authority,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const cancel = () => call.close(constants.NGHTTP2_CANCEL);
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    try {
      const status = statusOf(call);
      const body = requestSerialize(request as never);
      const prefix = Buffer.alloc(PREFIX);
      prefix.writeUInt32BE(body.length, 1);
      call.end(Buffer.concat([prefix, body]));
      for await (const message of messages(call)) {
        yield fromBinary(method.output, message) as MessageShape<M["output"]>;
      }
      const { code, details } = await status;
      if (code !== "OK") throw new GrpcError(code, details);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof GrpcError) throw error;
      throw new GrpcError("UNAVAILABLE", errorMessage(error));
    } finally {
      signal.removeEventListener("abort", cancel);
      if (!call.closed) cancel();
    }
  }

  /** Calls that are in progress come to their end; then the connection does. */
  close(): void {
    void this.#session?.then((session) => session.close(), () => {});
    this.#session = undefined;
  }

  /** Ends the connection; calls that are in progress fail. */
  destroy(): void {
    void this.#session?.then((session) => session.destroy(), () => {});
    this.#session = undefined;
  }

  /** The connection, recreated when it was lost. */
  async #connected(): Promise<ClientHttp2Session> {
    this.#session ??= this.#connect();
    try {
      return await this.#session;
    } catch (error) {
      this.#session = undefined;
      throw new GrpcError("UNAVAILABLE", `${this.#path}: ${errorMessage(error)}`);
    }
  }

  async #connect(): Promise<ClientHttp2Session> {
    const connection = await Deno.connect({ transport: "unix", path: this.#path });
    const session = connect("http://localhost", { createConnection: () => unixStream(connection) });
    const made = this.#session;
    const lost = () => {
      if (this.#session === made) this.#session = undefined;
    };
    for (const event of ["error", "goaway", "close"]) session.on(event, lost);
    return session;
  }
}

/** The status that ends a call: in the trailers, or in the headers when there is nothing else. */
function statusOf(call: ClientHttp2Stream): Promise<{ code: GrpcCode; details: string }> {
  return new Promise((resolve) => {
    const read = (headers: Readonly<Record<string, unknown>>) => {
      const status = headers["grpc-status"];
      if (status === undefined) return;
      const code = CODES[Number(status)] ?? "UNKNOWN";
      resolve({ code, details: decodeURIComponent(String(headers["grpc-message"] ?? "")) });
    };
    call.on("response", read);
    call.on("trailers", read);
    call.on("close", () => resolve({ code: "UNAVAILABLE", details: "the connection was lost" }));
  });
}

async function* messages(call: ClientHttp2Stream): AsyncGenerator<Uint8Array> {
  let rest = Buffer.alloc(0);
  for await (const chunk of call) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= PREFIX) {
      const end = PREFIX + rest.readUInt32BE(1);
      if (rest.length < end) break;
      yield new Uint8Array(rest.subarray(PREFIX, end));
      rest = rest.subarray(end);
    }
  }
}
