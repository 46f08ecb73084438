/** The launcher's exit code when the runtime cannot be started. */
const NOT_STARTED = 121;

/** Sizes of the headers of an ELF file and of a segment. */
const EHDR = 64;
const PHDR = 56;
const HEADERS = EHDR + 2 * PHDR;
const LOADED_AT = 0x400000;
const X86_64 = 62;

/**
 * A static program for x86-64 of a few hundred bytes that becomes another program (execve): the
 * first word of the command, with the command's words and then its own arguments, in its own
 * environment. It stands where the compiled executable would, so that `/network-dra ready` means the
 * same in every image, and no shell has to be there for that.
 */
export function commandLauncher(command: readonly string[]): Uint8Array<ArrayBuffer> {
  const words = command.map((word) => new TextEncoder().encode(`${word}\0`));
  const length = codeFor(command.map(() => 0)).length;
  let address = LOADED_AT + HEADERS + length;
  const addresses = words.map((word) => {
    address += word.length;
    return address - word.length;
  });
  return elf([...codeFor(addresses), ...words.flatMap((word) => [...word])]);
}

/**
 * At the start the stack holds argc, argv[0], argv[1], …, a null, and then the environment. The
 * addresses of the command's words take the place of argc and argv[0] and grow down from there.
 */
function codeFor(addresses: readonly number[]): number[] {
  // deno-fmt-ignore
  return [
    0x48, 0x8b, 0x0c, 0x24,              // mov  rcx, [rsp]            argc
    0x48, 0x8d, 0x54, 0xcc, 0x10,        // lea  rdx, [rsp+rcx*8+16]   the environment
    0x48, 0x83, 0xc4, 0x10,              // add  rsp, 16               now at argv[1]
    ...addresses.toReversed().flatMap((address) => [0x68, ...u32(address)]), // push address
    0x48, 0x89, 0xe6,                    // mov  rsi, rsp
    0xbf, ...u32(addresses[0] ?? 0),     // mov  edi, address          the program
    0xb8, ...u32(59),                    // mov  eax, 59               execve
    0x0f, 0x05,                          // syscall
    0xbf, ...u32(NOT_STARTED),           // mov  edi, 121
    0xb8, ...u32(231),                   // mov  eax, 231              exit_group
    0x0f, 0x05,                          // syscall
  ];
}

function u32(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
}

/** An executable of one segment, which is the whole file (System V ABI, chapters 4 and 5). */
function elf(code: readonly number[]): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(HEADERS + code.length);
  const view = new DataView(file.buffer);
  const u16 = (at: number, value: number) => view.setUint16(at, value, true);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  // 64 bits, little-endian, an executable.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  u16(0x10, 2);
  u16(0x12, X86_64);
  u32(0x14, 1);
  u64(0x18, LOADED_AT + HEADERS);
  u64(0x20, EHDR);
  u16(0x34, EHDR);
  u16(0x36, PHDR);
  u16(0x38, 2);
  // To be read and executed.
  u32(EHDR, 1);
  u32(EHDR + 0x04, 5);
  u64(EHDR + 0x10, LOADED_AT);
  u64(EHDR + 0x18, LOADED_AT);
  u64(EHDR + 0x20, file.length);
  u64(EHDR + 0x28, file.length);
  u64(EHDR + 0x30, 0x10000);
  // A stack that is not executed (PT_GNU_STACK).
  u32(EHDR + PHDR, 0x6474e551);
  u32(EHDR + PHDR + 0x04, 6);
  file.set(code, HEADERS);
  return file;
}
