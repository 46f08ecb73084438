/**
 * The frames of NRI's multiplexer: `u32 connection | u32 length`, big-endian, then `length` bytes.
 * Pure: bytes in, frames out.
 */
import { GrowingBuffer } from "../ttrpc/growing_buffer.ts";

const HEADER_LENGTH = 8;

/**
 * The runtime's mux hands a frame to a reader whose buffer holds 4096 bytes, and fails when the
 * frame at which it begins to read is longer. So what a message begins with never exceeds this.
 */
const FIRST_FRAME_LIMIT = 4096;

/** The runtime writes a message of up to 4 MiB as at most two frames; no frame is much longer. */
const FRAME_LIMIT = 16 * 1024 * 1024;

/** One frame of a logical connection. */
export interface MuxFrame {
  /** The number of the logical connection, 32 bits. */
  readonly connection: number;
  readonly payload: Uint8Array;
}

/**
 * Encodes one message as one frame, or as two where it has more than 4096 bytes.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { encodeMessage } from "./mux_frame.ts";
 *
 * assert.deepEqual([...encodeMessage(1, new Uint8Array([7]))], [0, 0, 0, 1, 0, 0, 0, 1, 7]);
 * ```
 */
export function encodeMessage(connection: number, message: Uint8Array): Uint8Array {
  const parts = message.length <= FIRST_FRAME_LIMIT
    ? [message]
    : [message.subarray(0, FIRST_FRAME_LIMIT), message.subarray(FIRST_FRAME_LIMIT)];
  const bytes = new Uint8Array(message.length + parts.length * HEADER_LENGTH);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const part of parts) {
    view.setUint32(offset, connection);
    view.setUint32(offset + 4, part.length);
    bytes.set(part, offset + HEADER_LENGTH);
    offset += HEADER_LENGTH + part.length;
  }
  return bytes;
}

/**
 * Decodes a stream of frames that arrives in pieces of any size.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { MuxDecoder } from "./mux_frame.ts";
 *
 * const decoder = new MuxDecoder();
 * assert.deepEqual(decoder.push(new Uint8Array([0, 0, 0, 2, 0, 0])), []);
 * const payload = new Uint8Array([7]);
 * assert.deepEqual(decoder.push(new Uint8Array([0, 1, 7])), [{ connection: 2, payload }]);
 * ```
 */
export class MuxDecoder {
  readonly #header = new Uint8Array(HEADER_LENGTH);
  #headerFilled = 0;
  #payload: GrowingBuffer | undefined;

  /**
   * Adds bytes, and returns the frames that they complete, in order.
   *
   * @throws RangeError for a frame longer than 16 MiB
   */
  push(bytes: Uint8Array): MuxFrame[] {
    const frames: MuxFrame[] = [];
    let rest = bytes;
    while (rest.length > 0) {
      if (!this.#payload) {
        const part = rest.subarray(0, HEADER_LENGTH - this.#headerFilled);
        this.#header.set(part, this.#headerFilled);
        this.#headerFilled += part.length;
        rest = rest.subarray(part.length);
        if (this.#headerFilled < HEADER_LENGTH) break;
        const length = new DataView(this.#header.buffer).getUint32(4);
        if (length > FRAME_LIMIT) {
          throw new RangeError(`a multiplexer frame announces ${length} bytes`);
        }
        this.#payload = new GrowingBuffer(length);
      } else {
        rest = this.#payload.take(rest);
      }
      if (this.#payload.complete) frames.push(this.#finish());
    }
    return frames;
  }

  /** Whether a frame is incomplete: a stream that ends now ends in the middle of a frame. */
  get midFrame(): boolean {
    return this.#headerFilled > 0;
  }

  #finish(): MuxFrame {
    const connection = new DataView(this.#header.buffer).getUint32(0);
    const payload = this.#payload!.bytes;
    this.#payload = undefined;
    this.#headerFilled = 0;
    return { connection, payload };
  }
}
