import { type Frame, FrameDecoder, HEADER_LENGTH } from "../../../mod/ttrpc/frame.ts";
import { bytesCorpus, toHex } from "../corpus.ts";
import { mutateBytes, pieces } from "../mutate_bytes.ts";
import { declared, holds, type Target } from "../target.ts";

/** ttrpc's frames, whole and in pieces. */
export async function makeTtrpc(): Promise<Target> {
  const target: Target<Uint8Array> = {
    seeds: await bytesCorpus("ttrpc"),
    mutate: mutateBytes,
    attempt(bytes, random) {
      const whole = decode([bytes]);
      const parts = decode(pieces(bytes, random));
      holds(whole.end === parts.end, `whole: ${whole.end}; in pieces: ${parts.end}`);
      if (!whole.end.startsWith("error")) holds(same(whole.frames, parts.frames), "frames differ");
      const carried = parts.frames.reduce((sum, { data }) => sum + data.length + HEADER_LENGTH, 0);
      holds(carried <= bytes.length, `${bytes.length} bytes gave ${carried}`);
    },
    show: toHex,
  };
  return target as Target;
}

function decode(input: Iterable<Uint8Array>): { frames: Frame[]; end: string } {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  try {
    for (const bytes of input) frames.push(...decoder.push(bytes));
    return { frames, end: decoder.midFrame ? "in a frame" : "between frames" };
  } catch (error) {
    declared(error, RangeError);
    return { frames, end: `error ${error.message}` };
  }
}

function same(some: readonly Frame[], others: readonly Frame[]): boolean {
  return some.length === others.length && some.every((frame, i) => {
    const other = others[i]!;
    return frame.streamId === other.streamId && frame.type === other.type &&
      frame.flags === other.flags && frame.oversized === other.oversized &&
      frame.data.length === other.data.length &&
      frame.data.every((byte, at) => byte === other.data[at]);
  });
}
