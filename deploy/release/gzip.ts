import { crc32 } from "node:zlib";

/** What a stored block holds at most (RFC 1951, 3.2.4). */
const BLOCK = 0xffff;

/**
 * A gzip file (RFC 1952) that stores its content as it is: what compressors make differs by their
 * version and by the machine, this does not.
 */
export function gzipStored(content: Uint8Array): Uint8Array<ArrayBuffer> {
  const count = Math.max(1, Math.ceil(content.length / BLOCK));
  const file = new Uint8Array(10 + 5 * count + content.length + 8);
  const view = new DataView(file.buffer);
  // Deflate, no flags, no time, no system named.
  file.set([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  let at = 10;
  for (let index = 0; index < count; index++) {
    const block = content.subarray(index * BLOCK, (index + 1) * BLOCK);
    file[at] = index === count - 1 ? 1 : 0;
    view.setUint16(at + 1, block.length, true);
    view.setUint16(at + 3, ~block.length & 0xffff, true);
    file.set(block, at + 5);
    at += 5 + block.length;
  }
  view.setUint32(at, crc32(content), true);
  view.setUint32(at + 4, content.length, true);
  return file;
}
