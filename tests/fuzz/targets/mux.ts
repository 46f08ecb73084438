import { MuxDecoder, type MuxFrame } from "../../../mod/nri/mux_frame.ts";
import { bytesCorpus, toHex } from "../corpus.ts";
import { mutateBytes, pieces } from "../mutate_bytes.ts";
import { declared, holds, type Target } from "../target.ts";

/** The multiplexer's frames, whole and in pieces. */
export async function makeMux(): Promise<Target> {
  const target: Target<Uint8Array> = {
    seeds: await bytesCorpus("mux"),
    mutate: mutateBytes,
    attempt(bytes, random) {
      const whole = decode([bytes]);
      const parts = decode(pieces(bytes, random));
      holds(whole.end === parts.end, `whole: ${whole.end}; in pieces: ${parts.end}`);
      // A push that fails gives nothing; the frames before it in the same push go with it.
      if (!whole.end.startsWith("error")) holds(same(whole.frames, parts.frames), "frames differ");
      const carried = parts.frames.reduce((sum, { payload }) => sum + payload.length + 8, 0);
      holds(carried <= bytes.length, `${bytes.length} bytes gave ${carried}`);
    },
    show: toHex,
  };
  return target as Target;
}

function decode(input: Iterable<Uint8Array>): { frames: MuxFrame[]; end: string } {
  const decoder = new MuxDecoder();
  const frames: MuxFrame[] = [];
  try {
    for (const bytes of input) frames.push(...decoder.push(bytes));
    return { frames, end: decoder.midFrame ? "in a frame" : "between frames" };
  } catch (error) {
    declared(error, RangeError);
    return { frames, end: `error ${error.message}` };
  }
}

function same(some: readonly MuxFrame[], others: readonly MuxFrame[]): boolean {
  return some.length === others.length && some.every(({ connection, payload }, i) => {
    const other = others[i]!;
    return connection === other.connection && payload.length === other.payload.length &&
      payload.every((byte, at) => byte === other.payload[at]);
  });
}
