/**
 * ttrpc's frames (containerd/ttrpc, PROTOCOL.md): `u32 length | u32 stream | u8 type | u8 flags`,
 * big-endian, then `length` bytes. Pure: bytes in, frames out.
 */
import { GrowingBuffer } from "./growing_buffer.ts";

/** Bytes before the data of each frame. */
export const HEADER_LENGTH = 10;
/** The most data a frame may carry, in bytes. */
export const DATA_LIMIT = 4 * 1024 * 1024;

/** A longer length is not a message: the stream is out of step. In bytes. */
const NONSENSE = 256 * 1024 * 1024;

/** The message types of PROTOCOL.md. */
export const FrameType = { Request: 1, Response: 2, Data: 3 } as const;

/** One frame: a request, a response, or a piece of a stream. */
export interface Frame {
  /** Unsigned, 32 bits; clients use odd ones. */
  readonly streamId: number;
  /** One of FrameType, 8 bits; receivers ignore other types. */
  readonly type: number;
  /** 8 bits. */
  readonly flags: number;
  readonly data: Uint8Array;
  /** Set when the data exceeded the limit and was discarded. */
  readonly oversized?: true;
}

/**
 * Encodes one frame.
 *
 * @throws RangeError when the data exceeds DATA_LIMIT
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { encodeFrame, FrameType } from "./frame.ts";
 *
 * const data = new Uint8Array([0xab]);
 * const bytes = encodeFrame({ streamId: 1, type: FrameType.Request, flags: 0, data });
 * assert.deepEqual([...bytes], [0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0xab]);
 * ```
 */
export function encodeFrame(frame: Omit<Frame, "oversized">): Uint8Array {
  const { length } = frame.data;
  if (length > DATA_LIMIT) {
    throw new RangeError(`a ttrpc message of ${length} bytes exceeds the limit of ${DATA_LIMIT}`);
  }
  const bytes = new Uint8Array(HEADER_LENGTH + length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length);
  view.setUint32(4, frame.streamId);
  view.setUint8(8, frame.type);
  view.setUint8(9, frame.flags);
  bytes.set(frame.data, HEADER_LENGTH);
  return bytes;
}

/**
 * Decodes a stream of frames that arrives in pieces of any size.
 *
 * Data over the limit is discarded as it arrives: its frame has no data and is marked `oversized`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { encodeFrame, FrameDecoder } from "./frame.ts";
 *
 * const frame = { streamId: 1, type: 1, flags: 0, data: new Uint8Array([7]) };
 * const bytes = encodeFrame(frame);
 * const decoder = new FrameDecoder();
 * assert.deepEqual(decoder.push(bytes.subarray(0, 4)), []);
 * assert.deepEqual(decoder.push(bytes.subarray(4)), [frame]);
 * ```
 */
export class FrameDecoder {
  readonly #limit: number;
  readonly #header = new Uint8Array(HEADER_LENGTH);
  #headerFilled = 0;
  #frame: { readonly streamId: number; readonly type: number; readonly flags: number } | undefined;
  #data = new GrowingBuffer(0);
  /** Bytes of an oversized message that are yet to come. */
  #toSkip = 0;
  #oversized = false;

  /** @param limit the most data that a frame may carry, in bytes */
  constructor({ limit = DATA_LIMIT }: { readonly limit?: number } = {}) {
    this.#limit = limit;
  }

  /**
   * Adds bytes, and returns the frames that they complete, in order.
   *
   * @throws RangeError for a length above 256 MiB: the connection cannot be used any further
   */
  push(bytes: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let rest = bytes;
    while (rest.length > 0) {
      if (!this.#frame) rest = this.#takeHeader(rest);
      else if (this.#oversized) rest = this.#skip(rest);
      else rest = this.#data.take(rest);
      if (this.#frame && this.#toSkip === 0 && this.#data.complete) frames.push(this.#finish());
    }
    return frames;
  }

  /** Whether a frame is incomplete: a stream that ends now ends in the middle of a frame. */
  get midFrame(): boolean {
    return this.#headerFilled > 0;
  }

  #takeHeader(bytes: Uint8Array): Uint8Array {
    const part = bytes.subarray(0, HEADER_LENGTH - this.#headerFilled);
    this.#header.set(part, this.#headerFilled);
    this.#headerFilled += part.length;
    if (this.#headerFilled === HEADER_LENGTH) {
      const view = new DataView(this.#header.buffer);
      const length = view.getUint32(0);
      if (length > NONSENSE) throw new RangeError(`a ttrpc frame announces ${length} bytes`);
      this.#oversized = length > this.#limit;
      this.#toSkip = this.#oversized ? length : 0;
      this.#data = new GrowingBuffer(this.#oversized ? 0 : length);
      this.#frame = {
        streamId: view.getUint32(4),
        type: view.getUint8(8),
        flags: view.getUint8(9),
      };
    }
    return bytes.subarray(part.length);
  }

  #skip(bytes: Uint8Array): Uint8Array {
    const part = bytes.subarray(0, this.#toSkip);
    this.#toSkip -= part.length;
    return bytes.subarray(part.length);
  }

  #finish(): Frame {
    const frame = { ...this.#frame!, data: this.#data.bytes };
    this.#frame = undefined;
    this.#headerFilled = 0;
    return this.#oversized ? { ...frame, oversized: true } : frame;
  }
}
