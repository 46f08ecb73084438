import { bytesCorpus, toHex } from "./corpus.ts";
import { mutateBytes, pieces } from "./mutate_bytes.ts";
import { declared, holds, type Target } from "./target.ts";

/** What cuts a stream of bytes into frames. */
interface Decoder<F> {
  push(bytes: Uint8Array): Iterable<F>;
  readonly midFrame: boolean;
}

/** The frames of a stream, whole and in pieces. */
export async function frameTarget<F>(
  corpus: string,
  { decoder, sizeOf, same }: {
    readonly decoder: () => Decoder<F>;
    /** Bytes that a frame takes in the stream. */
    readonly sizeOf: (frame: F) => number;
    readonly same: (one: F, other: F) => boolean;
  },
): Promise<Target> {
  const decode = (input: Iterable<Uint8Array>): { frames: F[]; end: string } => {
    const reader = decoder();
    const frames: F[] = [];
    try {
      for (const bytes of input) frames.push(...reader.push(bytes));
      return { frames, end: reader.midFrame ? "in a frame" : "between frames" };
    } catch (error) {
      declared(error, RangeError);
      return { frames, end: `error ${error.message}` };
    }
  };
  const target: Target<Uint8Array> = {
    seeds: await bytesCorpus(corpus),
    mutate: mutateBytes,
    attempt(bytes, random) {
      const whole = decode([bytes]);
      const parts = decode(pieces(bytes, random));
      holds(whole.end === parts.end, `whole: ${whole.end}; in pieces: ${parts.end}`);
      // A push that fails gives nothing; the frames before it in the same push go with it.
      if (!whole.end.startsWith("error")) {
        const equal = whole.frames.length === parts.frames.length &&
          whole.frames.every((frame, i) => same(frame, parts.frames[i]!));
        holds(equal, "frames differ");
      }
      const carried = parts.frames.reduce((sum, frame) => sum + sizeOf(frame), 0);
      holds(carried <= bytes.length, `${bytes.length} bytes gave ${carried}`);
    },
    show: toHex,
  };
  return target as Target;
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
