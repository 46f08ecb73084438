import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { RequestSchema, ResponseSchema } from "../../proto/gen/ttrpc/ttrpc_pb.ts";
import type { ByteConnection } from "./connection.ts";
import { Code, TtrpcError } from "./error.ts";
import { encodeFrame, type Frame, FrameDecoder, FrameType } from "./frame.ts";
import { errorMessage } from "../async/error_message.ts";

/** The limit of one call. */
export interface CallOptions {
  /** Milliseconds; sent to the peer and kept here. */
  readonly timeout: number;
}

/** Calls a peer over one connection. Calls run side by side; responses may come in any order. */
export class TtrpcClient {
  readonly #connection: ByteConnection;
  readonly #pending = new Map<number, (outcome: Uint8Array | TtrpcError) => void>();
  #lastStreamId = -1;
  #closed: TtrpcError | undefined;

  constructor(connection: ByteConnection) {
    this.#connection = connection;
    void this.#read();
  }

  /** One unary call. @throws TtrpcError with the peer's status, DeadlineExceeded or Unavailable */
  async call(
    [service, method]: readonly [string, string],
    payload: Uint8Array,
    { timeout }: CallOptions,
  ): Promise<Uint8Array> {
    if (this.#closed) throw this.#closed;
    const request = create(RequestSchema, {
      service,
      method,
      payload,
      timeoutNano: BigInt(Math.round(timeout * 1e6)),
    });
    // Taken and written without a pause between, so that ids only rise on the wire.
    const streamId = this.#lastStreamId += 2;
    const data = toBinary(RequestSchema, request);
    const frame = encodeFrame({ streamId, type: FrameType.Request, flags: 0, data });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const outcome = new Promise<Uint8Array | TtrpcError>((resolve) => {
      this.#pending.set(streamId, resolve);
      const late = new TtrpcError(Code.DeadlineExceeded, `${method}: no answer in ${timeout} ms`);
      timer = setTimeout(() => resolve(late), timeout);
    });
    try {
      this.#connection.write(frame).catch((error) =>
        this.#close(`cannot write: ${errorMessage(error)}`)
      );
      const result = await outcome;
      if (result instanceof TtrpcError) throw result;
      return result;
    } finally {
      clearTimeout(timer);
      this.#pending.delete(streamId);
    }
  }

  async #read(): Promise<void> {
    const decoder = new FrameDecoder();
    try {
      for await (const bytes of this.#connection.incoming) {
        for (const frame of decoder.push(bytes)) {
          // Answers to calls that nobody waits for any more are dropped.
          if (frame.type === FrameType.Response) this.#pending.get(frame.streamId)?.(read(frame));
        }
      }
      this.#close("the connection was closed");
    } catch (error) {
      this.#close(`the connection broke: ${errorMessage(error)}`);
    }
  }

  #close(why: string): void {
    this.#closed ??= new TtrpcError(Code.Unavailable, why);
    for (const resolve of this.#pending.values()) resolve(this.#closed);
  }
}

function read({ data, oversized }: Frame): Uint8Array | TtrpcError {
  if (oversized) return new TtrpcError(Code.ResourceExhausted, "the response exceeds 4 MiB");
  try {
    const { status, payload } = fromBinary(ResponseSchema, data);
    if (status && status.code !== Code.OK) return new TtrpcError(status.code, status.message);
    return payload;
  } catch (error) {
    return new TtrpcError(Code.Unknown, `the response cannot be read: ${errorMessage(error)}`);
  }
}
