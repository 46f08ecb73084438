import assert from "node:assert/strict";
import fc from "fast-check";
import { DATA_LIMIT, encodeFrame, type Frame, FrameDecoder, HEADER_LENGTH } from "./frame.ts";

const frames = fc.array(fc.record({
  streamId: fc.nat(0xffffffff),
  type: fc.nat(255),
  flags: fc.nat(255),
  data: fc.uint8Array({ maxLength: 50 }),
}, { noNullPrototype: true }));

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

function decode(bytes: Uint8Array, size: number): Frame[] {
  const decoder = new FrameDecoder();
  const found: Frame[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    found.push(...decoder.push(bytes.subarray(at, at + size)));
  }
  assert.equal(decoder.midFrame, false);
  return found;
}

Deno.test("frames come out as they went in, in pieces of any size", () => {
  fc.assert(fc.property(frames, fc.constantFrom(1, 2, 3, 7, 10, 1000), (given, size) => {
    assert.deepEqual(decode(concat(given.map(encodeFrame)), size), given);
  }));
});

Deno.test("encodeFrame() writes length, stream, type and flags in network order", () => {
  const frame = encodeFrame({ streamId: 5, type: 2, flags: 0, data: new Uint8Array([7]) });
  assert.deepEqual([...frame], [0, 0, 0, 1, 0, 0, 0, 5, 2, 0, 7]);
});

Deno.test("data at the limit goes through; beyond it is refused going out and skipped coming in", () => {
  const whole = { streamId: 1, type: 1, flags: 0, data: new Uint8Array(DATA_LIMIT) };
  assert.equal(decode(encodeFrame(whole), 65536)[0]?.data.length, DATA_LIMIT);
  assert.throws(() => encodeFrame({ ...whole, data: new Uint8Array(DATA_LIMIT + 1) }), RangeError);

  const header = new Uint8Array(HEADER_LENGTH);
  new DataView(header.buffer).setUint32(0, DATA_LIMIT + 1);
  header[7] = 3;
  const after = encodeFrame({ streamId: 5, type: 1, flags: 0, data: new Uint8Array([1]) });
  const found = decode(concat([header, new Uint8Array(DATA_LIMIT + 1), after]), 65536);
  assert.deepEqual(
    found.map(({ streamId, oversized, data }) => [streamId, oversized, data.length]),
    [
      [3, true, 0],
      [5, undefined, 1],
    ],
  );
});

Deno.test("a length of 4 GiB is not a message but a stream out of step", () => {
  const decoder = new FrameDecoder();
  assert.throws(() => decoder.push(new Uint8Array(HEADER_LENGTH).fill(0xff)), RangeError);
});

Deno.test("the end in the middle of a header or of data shows", () => {
  const frame = encodeFrame({ streamId: 1, type: 1, flags: 0, data: new Uint8Array(5) });
  for (let length = 1; length < frame.length; length++) {
    const decoder = new FrameDecoder();
    assert.deepEqual(decoder.push(frame.subarray(0, length)), []);
    assert.equal(decoder.midFrame, true);
  }
});

Deno.test("any bytes give frames or a RangeError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        new FrameDecoder().push(bytes);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("who announces megabytes is given no room for them until they come", () => {
  const decoders = Array.from({ length: 200 }, () => new FrameDecoder());
  const before = Deno.memoryUsage().external;
  for (const decoder of decoders) {
    assert.deepEqual(decoder.push(new Uint8Array([0, 0x40, 0, 0, 0, 0, 0, 1, 1, 0, 0xaa])), []);
    assert.equal(decoder.midFrame, true);
  }
  const grown = Deno.memoryUsage().external - before;
  assert.ok(grown < 20 * 1024 * 1024, `${grown} bytes were taken for 200 bytes`);
});
