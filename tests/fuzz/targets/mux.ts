import { MuxDecoder, type MuxFrame } from "../../../mod/nri/mux_frame.ts";
import { frameTarget, sameBytes } from "../frame_target.ts";
import type { Target } from "../target.ts";

const HEADER_LENGTH = 8;

/** The multiplexer's frames, whole and in pieces. */
export function makeMux(): Promise<Target> {
  return frameTarget<MuxFrame>("mux", {
    decoder: () => new MuxDecoder(),
    sizeOf: ({ payload }) => payload.length + HEADER_LENGTH,
    same: (one, other) =>
      one.connection === other.connection && sameBytes(one.payload, other.payload),
  });
}
