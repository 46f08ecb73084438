import { CODE_AT, staticProgram } from "../../mod/elf/static_program.ts";

/** The launcher's exit code when the runtime cannot be started. */
const NOT_STARTED = 121;

/**
 * A static program for x86-64 of a few hundred bytes that becomes another program (execve): the
 * first word of the command, with the command's words and then its own arguments, in its own
 * environment. It stands where the compiled executable would, so that `/network-dra ready` means the
 * same in every image, and no shell has to be there for that.
 */
export function commandLauncher(command: readonly string[]): Uint8Array<ArrayBuffer> {
  const words = command.map((word) => new TextEncoder().encode(`${word}\0`));
  const length = codeFor(command.map(() => 0)).length;
  let address = CODE_AT + length;
  const addresses = words.map((word) => {
    address += word.length;
    return address - word.length;
  });
  return staticProgram("x86_64", [...codeFor(addresses), ...words.flatMap((word) => [...word])]);
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
