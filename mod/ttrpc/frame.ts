/**
 * ttrpc's frames (containerd/ttrpc, PROTOCOL.md): `u32 length | u32 stream | u8 type | u8 flags`,
 * big-endian, then `length` bytes. Pure: bytes in, frames out.
 */
import { GrowingBuffer } from "./growing_buffer.ts";

export const HEADER_LENGTH = 10;
/** The most data a frame may carry, in bytes. */
export const DATA_LIMIT = 4 * 1024 * 1024;

/** Beyond this a length is no message but a stream that lost its step. */
const NONSENSE = 256 * 1024 * 1024;

export const FrameType = { Request: 1, Response: 2, Data: 3 } as const;

export interface Frame {
  readonly streamId: number;
  /** One of FrameType; others are legal and to be ignored. */
  readonly type: number;
  readonly flags: number;
  readonly data: Uint8Array;
  /** Set when the data exceeded the limit and was thrown away. */
  readonly oversized?: true;
}

/** @throws RangeError when the data exceeds the limit */
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
 * Takes bytes as they come, in pieces of any size, and gives the frames that are whole.
 *
 * Data over the limit is skipped as it comes, not kept: its frame has no data and is marked. A
 * length that no peer can mean throws a RangeError: the connection is of no use any more.
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

  /** @param limit the most data that is taken in a frame, in bytes */
  constructor({ limit = DATA_LIMIT }: { readonly limit?: number } = {}) {
    this.#limit = limit;
  }

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

  /** Whether bytes of an unfinished frame have come: an end now is an end in the middle. */
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
