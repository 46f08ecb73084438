/** ELF's numbers of machines, by Deno.build.arch. */
const MACHINES: Readonly<Record<string, number | undefined>> = { x86_64: 62, aarch64: 183 };

/** Sizes of the headers of an ELF file and of a segment. */
const EHDR = 64;
const PHDR = 56;
const HEADERS = EHDR + 2 * PHDR;
const LOADED_AT = 0x400000;

/** The address of the first byte of the code in a program that {@link staticProgram} makes. */
export const CODE_AT = LOADED_AT + HEADERS;

/**
 * A static executable of one segment, which is the whole file (System V ABI, chapters 4 and 5), with
 * a stack that is not executable.
 *
 * @param arch as Deno.build.arch has it
 * @param code what it runs from the first byte on, and the data that the code refers to
 * @throws Error for a machine that is not known
 */
export function staticProgram(
  arch: string,
  code: ArrayLike<number>,
): Uint8Array<ArrayBuffer> {
  const machine = MACHINES[arch];
  if (machine === undefined) throw new Error(`cannot make a program for ${arch}`);
  const file = new Uint8Array(HEADERS + code.length);
  const view = new DataView(file.buffer);
  const u16 = (at: number, value: number) => view.setUint16(at, value, true);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  // 64 bits, little-endian, an executable.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  u16(0x10, 2);
  u16(0x12, machine);
  u32(0x14, 1);
  u64(0x18, CODE_AT);
  u64(0x20, EHDR);
  u16(0x34, EHDR);
  u16(0x36, PHDR);
  u16(0x38, 2);
  // Loaded to be read and executed.
  u32(EHDR, 1);
  u32(EHDR + 0x04, 5);
  u64(EHDR + 0x10, LOADED_AT);
  u64(EHDR + 0x18, LOADED_AT);
  u64(EHDR + 0x20, file.length);
  u64(EHDR + 0x28, file.length);
  u64(EHDR + 0x30, 0x10000);
  // PT_GNU_STACK.
  u32(EHDR + PHDR, 0x6474e551);
  u32(EHDR + PHDR + 0x04, 6);
  file.set(code, HEADERS);
  return file;
}

/** Instructions of 32 bits as bytes, little-endian. */
export function wordsToBytes(words: readonly number[]): number[] {
  return words.flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff));
}
