import { join } from "node:path";
import { writeDurably } from "../files/durable.ts";

/** The launcher's exit code when it could not become the program; no plugin is known to use it. */
export const NOT_LAUNCHED = 121;

/**
 * A program of some 200 bytes that begins a session and then becomes the program that its arguments
 * name: `launcher PROGRAM ARGV0 …`. When that cannot be, it exits with {@link NOT_LAUNCHED}.
 *
 * A plugin must lead a session of its own, so that a stuck one can be ended with all its children.
 * What Deno does for that (`detached`) copies the agent's page tables and lets it fault on each page
 * that it touches next: a quarter of the time in which many pods get their networks. Starting this
 * program instead copies nothing.
 *
 * @returns undefined for machines that it does not speak
 */
export function sessionLauncher(
  arch: string = Deno.build.arch,
): Uint8Array<ArrayBuffer> | undefined {
  const machine = MACHINES[arch];
  if (!machine) return undefined;
  const { code } = machine;
  const file = new Uint8Array(HEADERS + code.length);
  const view = new DataView(file.buffer);
  const u16 = (at: number, value: number) => view.setUint16(at, value, true);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);

  // ELF header: 64 bits, little-endian, an executable (System V ABI, chapter 4).
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  u16(0x10, 2);
  u16(0x12, machine.elf);
  u32(0x14, 1);
  u64(0x18, LOADED_AT + HEADERS);
  u64(0x20, EHDR);
  u16(0x34, EHDR);
  u16(0x36, PHDR);
  u16(0x38, 2);
  // One segment, the whole file: loaded to be read and executed.
  u32(EHDR, 1);
  u32(EHDR + 0x04, 5);
  u64(EHDR + 0x10, LOADED_AT);
  u64(EHDR + 0x18, LOADED_AT);
  u64(EHDR + 0x20, file.length);
  u64(EHDR + 0x28, file.length);
  u64(EHDR + 0x30, 0x10000);
  // And a stack that is not executed (PT_GNU_STACK).
  u32(EHDR + PHDR, 0x6474e551);
  u32(EHDR + PHDR + 0x04, 6);

  file.set(code, HEADERS);
  return file;
}

/** Sizes of the headers of an ELF file and of a segment. */
const EHDR = 64;
const PHDR = 56;
const HEADERS = EHDR + 2 * PHDR;
const LOADED_AT = 0x400000;

/** By Deno.build.arch: the number of the machine in ELF, and what the program does in its words. */
const MACHINES: Readonly<
  Record<string, { readonly elf: number; readonly code: readonly number[] } | undefined>
> = {
  x86_64: {
    elf: 62,
    // At the start the stack holds argc, argv[0], …, a null, and then the environment.
    // deno-fmt-ignore
    code: [
      0xb8, 112, 0, 0, 0,             // mov  eax, 112         setsid
      0x0f, 0x05,                     // syscall
      0x48, 0x8b, 0x0c, 0x24,         // mov  rcx, [rsp]       argc
      0x48, 0x8d, 0x74, 0x24, 0x18,   // lea  rsi, [rsp+24]    &argv[2]
      0x48, 0x8b, 0x7c, 0x24, 0x10,   // mov  rdi, [rsp+16]    argv[1]
      0x48, 0x8d, 0x54, 0xcc, 0x10,   // lea  rdx, [rsp+rcx*8+16]  the environment
      0xb8, 59, 0, 0, 0,              // mov  eax, 59          execve
      0x0f, 0x05,                     // syscall
      0xbf, NOT_LAUNCHED, 0, 0, 0,    // mov  edi, 121
      0xb8, 231, 0, 0, 0,             // mov  eax, 231         exit_group
      0x0f, 0x05,                     // syscall
    ],
  },
  aarch64: {
    elf: 183,
    code: [
      0xd28013a8, // mov x8, #157            setsid
      0xd4000001, // svc #0
      0xf94003e9, // ldr x9, [sp]            argc
      0xf9400be0, // ldr x0, [sp, #16]       argv[1]
      0x910063e1, // add x1, sp, #24         &argv[2]
      0x910043e2, // add x2, sp, #16
      0x8b090c42, // add x2, x2, x9, lsl #3  the environment
      0xd2801ba8, // mov x8, #221            execve
      0xd4000001, // svc #0
      0xd2800f20, // mov x0, #121
      0xd2800bc8, // mov x8, #94             exit_group
      0xd4000001, // svc #0
    ].flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff)),
  },
};

/**
 * Puts the launcher into a folder that is the agent's own.
 *
 * @returns its path; undefined where there is none for this machine
 */
export async function installSessionLauncher(folder: string): Promise<string | undefined> {
  const program = sessionLauncher();
  if (!program) return undefined;
  const path = join(folder, "launcher");
  await writeDurably(path, program, { mode: 0o700 });
  return path;
}
