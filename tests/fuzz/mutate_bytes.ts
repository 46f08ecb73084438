import type { Random } from "./random.ts";

/** Numbers at which length fields and varints are likely to go wrong. */
const NUMBERS = [
  ...[0, 1, 0x7f, 0x80, 0xff, 0x100, 4095, 4096, 4097, 0xffff, 0x10000],
  ...[4 * 1024 * 1024, 4 * 1024 * 1024 + 1, 16 * 1024 * 1024, 256 * 1024 * 1024],
  ...[0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff],
];

/** The longest input that mutation makes, in bytes. */
const LONGEST = 64 * 1024;

type Change = (bytes: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array;

const CHANGES: readonly Change[] = [
  function flipBit(bytes, random) {
    if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    return bytes;
  },
  function setByte(bytes, random) {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.next();
    return bytes;
  },
  function setNumber(bytes, random) {
    if (bytes.length < 4) return bytes;
    const at = random.below(bytes.length - 3);
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, random.pick(NUMBERS));
    return bytes;
  },
  function nudgeNumber(bytes, random) {
    if (bytes.length < 4) return bytes;
    const at = random.below(bytes.length - 3);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    view.setUint32(at, view.getUint32(at) + random.below(9) - 4);
    return bytes;
  },
  function insertVarint(bytes, random) {
    // Up to eleven bytes: one more than any varint may have.
    const varint = random.bytes(1 + random.below(11)).map((byte) => byte | 0x80);
    if (!random.oneIn(3)) varint[varint.length - 1]! &= 0x7f;
    return insert(bytes, random.below(bytes.length + 1), varint);
  },
  function truncate(bytes, random) {
    return bytes.slice(0, random.below(bytes.length + 1));
  },
  function dropFront(bytes, random) {
    return bytes.slice(random.below(bytes.length + 1));
  },
  function dropMiddle(bytes, random) {
    const [from, to] = span(bytes, random);
    return concat(bytes.subarray(0, from), bytes.subarray(to));
  },
  function repeat(bytes, random) {
    const [from, to] = span(bytes, random);
    const times = random.oneIn(20) ? 200 : 1 + random.below(4);
    const part = bytes.slice(from, to);
    const many = concat(...Array.from({ length: times }, () => part));
    return insert(bytes, to, many.subarray(0, LONGEST));
  },
  function insertNoise(bytes, random) {
    const noise = random.bytes(1 + random.below(random.oneIn(50) ? 8192 : 24));
    return insert(bytes, random.below(bytes.length + 1), noise);
  },
  function append(bytes, random, others) {
    return concat(bytes, random.pick(others));
  },
  function splice(bytes, random, others) {
    const other = random.pick(others);
    const [from, to] = span(other, random);
    return concat(bytes.subarray(0, random.below(bytes.length + 1)), other.subarray(from, to));
  },
];

/** One of the seeds, changed in one to eight ways; in one of fifty cases nothing but noise. */
export function mutateBytes(seeds: readonly Uint8Array[], random: Random): Uint8Array {
  if (random.oneIn(50)) return random.bytes(random.below(512));
  let bytes = random.pick(seeds).slice();
  for (let left = 1 + random.below(random.oneIn(4) ? 8 : 3); left > 0; left--) {
    bytes = random.pick(CHANGES)(bytes, random, seeds).slice(0, LONGEST);
  }
  return bytes;
}

/** The bytes in pieces, as a socket may give them. */
export function* pieces(bytes: Uint8Array, random: Random): Generator<Uint8Array> {
  const longest = random.pick([1, 2, 16, 4096, LONGEST]);
  for (let at = 0; at < bytes.length;) {
    const length = 1 + random.below(longest);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function insert(bytes: Uint8Array, at: number, part: Uint8Array): Uint8Array {
  return concat(bytes.subarray(0, at), part, bytes.subarray(at));
}

function span({ length }: Uint8Array, random: Random): [number, number] {
  const from = random.below(length + 1);
  return [from, from + random.below(Math.min(length - from, 64) + 1)];
}
