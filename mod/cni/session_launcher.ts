import { join } from "node:path";
import { staticProgram, wordsToBytes } from "../elf/static_program.ts";
import { installProgram } from "../files/install_program.ts";

/** The launcher's exit codes when it failed; no plugin is known to use them. */
export const NOT_LAUNCHED = 121;
/** The launcher's exit code when chroot failed. */
export const NOT_IN_ROOT = 122;

/**
 * A program of some 300 bytes: `launcher ROOT PROGRAM ARGV0 …` begins a session, makes ROOT its root
 * folder unless that is empty, and becomes PROGRAM. When that cannot be, it prints the error number
 * as {@link readFailure} takes it, and exits with {@link NOT_LAUNCHED}, or with {@link NOT_IN_ROOT}
 * where it was chroot that failed.
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
  const code = CODE[arch];
  return code && staticProgram(arch, code);
}

/** What the program does, by Deno.build.arch. */
const CODE: Readonly<Record<string, readonly number[] | undefined>> = {
  x86_64:
    // At the start the stack holds argc, argv[0], …, a null, and then the environment.
    // deno-fmt-ignore
    [
      0xb8, 112, 0, 0, 0,             // mov  eax, 112         setsid
      0x0f, 0x05,                     // syscall
      0xbb, NOT_IN_ROOT, 0, 0, 0,     // mov  ebx, 122
      0x48, 0x8b, 0x7c, 0x24, 0x10,   // mov  rdi, [rsp+16]    argv[1]
      0x80, 0x3f, 0,                  // cmp  byte [rdi], 0
      0x74, 28,                       // je   launch
      0xb8, 161, 0, 0, 0,             // mov  eax, 161         chroot
      0x0f, 0x05,                     // syscall
      0x85, 0xc0,                     // test eax, eax
      0x75, 48,                       // jne  fail
      0x6a, 0x2f,                     // push "/"
      0x48, 0x89, 0xe7,               // mov  rdi, rsp
      0xb8, 80, 0, 0, 0,              // mov  eax, 80          chdir
      0x0f, 0x05,                     // syscall
      0x59,                           // pop  rcx
      0x85, 0xc0,                     // test eax, eax
      0x75, 31,                       // jne  fail
      // launch:
      0xbb, NOT_LAUNCHED, 0, 0, 0,    // mov  ebx, 121
      0x48, 0x8b, 0x0c, 0x24,         // mov  rcx, [rsp]       argc
      0x48, 0x8d, 0x74, 0x24, 0x20,   // lea  rsi, [rsp+32]    &argv[3]
      0x48, 0x8b, 0x7c, 0x24, 0x18,   // mov  rdi, [rsp+24]    argv[2]
      0x48, 0x8d, 0x54, 0xcc, 0x10,   // lea  rdx, [rsp+rcx*8+16]  the environment
      0xb8, 59, 0, 0, 0,              // mov  eax, 59          execve
      0x0f, 0x05,                     // syscall
      // fail: what the call gave is the error number, negative
      0x50,                           // push rax
      0xbf, 1, 0, 0, 0,               // mov  edi, 1           standard output
      0x48, 0x89, 0xe6,               // mov  rsi, rsp
      0xba, 8, 0, 0, 0,               // mov  edx, 8
      0xb8, 1, 0, 0, 0,               // mov  eax, 1           write
      0x0f, 0x05,                     // syscall
      0x89, 0xdf,                     // mov  edi, ebx
      0xb8, 231, 0, 0, 0,             // mov  eax, 231         exit_group
      0x0f, 0x05,                     // syscall
    ],
  aarch64: wordsToBytes([
    0xd28013a8, // mov  x8, #157            setsid
    0xd4000001, // svc  #0
    0xd2800f53, // mov  x19, #122
    0xf9400be0, // ldr  x0, [sp, #16]       argv[1]
    0x39400009, // ldrb w9, [x0]
    0x34000169, // cbz  w9, launch
    0xd2800668, // mov  x8, #51             chroot
    0xd4000001, // svc  #0
    0xb5000200, // cbnz x0, fail
    0xd28005e9, // mov  x9, "/"
    0xf81f0fe9, // str  x9, [sp, #-16]!
    0x910003e0, // mov  x0, sp
    0xd2800628, // mov  x8, #49             chdir
    0xd4000001, // svc  #0
    0x910043ff, // add  sp, sp, #16
    0xb5000120, // cbnz x0, fail
    // launch:
    0xd2800f33, // mov  x19, #121
    0xf94003e9, // ldr  x9, [sp]            argc
    0xf9400fe0, // ldr  x0, [sp, #24]       argv[2]
    0x910083e1, // add  x1, sp, #32         &argv[3]
    0x910043e2, // add  x2, sp, #16
    0x8b090c42, // add  x2, x2, x9, lsl #3  the environment
    0xd2801ba8, // mov  x8, #221            execve
    0xd4000001, // svc  #0
    // fail: what the call gave is the error number, negative
    0xf81f0fe0, // str  x0, [sp, #-16]!
    0xd2800020, // mov  x0, #1              standard output
    0x910003e1, // mov  x1, sp
    0xd2800102, // mov  x2, #8
    0xd2800808, // mov  x8, #64             write
    0xd4000001, // svc  #0
    0xaa1303e0, // mov  x0, x19
    0xd2800bc8, // mov  x8, #94             exit_group
    0xd4000001, // svc  #0
  ]),
};

/** Why the launcher did not become its program. */
export interface LaunchFailure {
  readonly step: "chroot" | "exec";
  /** As in errno(3). */
  readonly errno: number;
}

/** What a launcher said that failed; undefined where the program itself has ended. */
export function readFailure(
  { code, stdout }: { readonly code: number; readonly stdout: Uint8Array },
): LaunchFailure | undefined {
  if (code !== NOT_LAUNCHED && code !== NOT_IN_ROOT || stdout.length !== 8) return undefined;
  const errno = -new DataView(stdout.buffer, stdout.byteOffset).getBigInt64(0, true);
  if (errno < 1n || errno > 4095n) return undefined;
  return { step: code === NOT_IN_ROOT ? "chroot" : "exec", errno: Number(errno) };
}

/**
 * Puts the launcher into a folder that is the agent's own.
 *
 * @returns its path; undefined where there is none for this machine
 */
export async function installSessionLauncher(folder: string): Promise<string | undefined> {
  const program = sessionLauncher();
  return program && await installProgram(join(folder, "launcher"), program);
}
