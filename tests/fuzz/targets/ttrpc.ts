import { type Frame, FrameDecoder, HEADER_LENGTH } from "../../../mod/ttrpc/frame.ts";
import { frameTarget, sameBytes } from "../frame_target.ts";
import type { Target } from "../target.ts";

/** ttrpc's frames, whole and in pieces. */
export function makeTtrpc(): Promise<Target> {
  return frameTarget<Frame>("ttrpc", {
    decoder: () => new FrameDecoder(),
    sizeOf: ({ data }) => data.length + HEADER_LENGTH,
    same: (one, other) =>
      one.streamId === other.streamId && one.type === other.type && one.flags === other.flags &&
      one.oversized === other.oversized && sameBytes(one.data, other.data),
  });
}
