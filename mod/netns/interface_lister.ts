import { Buffer } from "node:buffer";
import { join } from "node:path";
import { getSystemErrorName } from "node:util";
import { errorMessage } from "../async/error_message.ts";
import { staticProgram, wordsToBytes } from "../elf/static_program.ts";
import type { Interfaces } from "../agent/model.ts";
import type { Namespaces } from "../agent/ports.ts";
import { installProgram } from "../files/install_program.ts";
import { parseLinks } from "./link_messages.ts";

/**
 * The interfaces in a network namespace, by the namespace's path; undefined on a node that cannot
 * tell. Rejects when the namespace cannot be entered, or the signal is aborted.
 */
export type ListInterfaces = Namespaces["interfaces"];

/** How long an answer may take: the kernel writes it at once. */
const ANSWER_LIMIT_MS = 5_000;
/** Longer than paths of namespaces are; the program reads no more at once. */
const LONGEST_PATH = 1024;

/**
 * A program of some 500 bytes that lives as long as its input: it reads the path of a network
 * namespace, ended by a null byte, enters that, asks the kernel for all interfaces there
 * (rtnetlink(7), RTM_GETLINK), and writes each datagram of the answer behind its length (32 bits).
 * Then it returns to its own namespace (or it would keep that of a pod that has ended), and writes 0
 * (32 bits) and the error number of the call that failed, negative (32 bits), or 0.
 *
 * Deno can enter no namespace, and to start a program for each sandbox would cost a burst of pods a
 * tenth of its time; to ask one that runs costs nothing to speak of.
 *
 * @returns undefined for machines that it does not speak
 */
export function interfaceLister(
  arch: string = Deno.build.arch,
): Uint8Array<ArrayBuffer> | undefined {
  const code = CODE[arch];
  return code && staticProgram(arch, [...code, ...REQUEST, ...OWN]);
}

/** A netlink message of 32 bytes: RTM_GETLINK, REQUEST and DUMP, number 1; about any interface. */
const REQUEST = [32, 0, 0, 0, 18, 0, 1, 3, 1, ...new Array<number>(23).fill(0)];
const OWN = new TextEncoder().encode("/proc/self/ns/net\0");

/** What the program does, by Deno.build.arch; the request and the path of its own namespace follow it. */
const CODE: Readonly<Record<string, readonly number[] | undefined>> = {
  // deno-fmt-ignore
  x86_64: [
    0x48, 0x81, 0xec, 0, 0, 1, 0,    // sub  rsp, 65536                    the buffer
    0x48, 0x8d, 0x3d, 0x42, 1, 0, 0, // lea  rdi, [rip+own]
    0xbe, 0, 0, 8, 0,                // mov  esi, O_CLOEXEC
    0xb8, 2, 0, 0, 0,                // mov  eax, 2                        open
    0x0f, 5,                         // syscall
    0x41, 0x89, 0xc6,                // mov  r14d, eax
    // next:
    0x31, 0xff,                      // xor  edi, edi                      standard input
    0x48, 0x89, 0xe6,                // mov  rsi, rsp
    0xba, 0, 0x10, 0, 0,             // mov  edx, 4096
    0x31, 0xc0,                      // xor  eax, eax                      read
    0x0f, 5,                         // syscall
    0x85, 0xc0,                      // test eax, eax
    0x0f, 0x8e, 0xf4, 0, 0, 0,       // jle  over
    0x48, 0x89, 0xe7,                // mov  rdi, rsp
    0xbe, 0, 0, 8, 0,                // mov  esi, O_CLOEXEC
    0xb8, 2, 0, 0, 0,                // mov  eax, 2                        open
    0x0f, 5,                         // syscall
    0x85, 0xc0,                      // test eax, eax
    0x0f, 0x88, 0xa5, 0, 0, 0,       // js   fail
    0x89, 0xc3,                      // mov  ebx, eax
    0x89, 0xdf,                      // mov  edi, ebx
    0xbe, 0, 0, 0, 0x40,             // mov  esi, CLONE_NEWNET
    0xb8, 0x34, 1, 0, 0,             // mov  eax, 308                      setns
    0x0f, 5,                         // syscall
    0x89, 0xc5,                      // mov  ebp, eax
    0x89, 0xdf,                      // mov  edi, ebx
    0xb8, 3, 0, 0, 0,                // mov  eax, 3                        close
    0x0f, 5,                         // syscall
    0x89, 0xe8,                      // mov  eax, ebp
    0x85, 0xc0,                      // test eax, eax
    0x0f, 0x88, 0x80, 0, 0, 0,       // js   fail
    0xbf, 0x10, 0, 0, 0,             // mov  edi, AF_NETLINK
    0xbe, 3, 0, 8, 0,                // mov  esi, SOCK_RAW | SOCK_CLOEXEC
    0x31, 0xd2,                      // xor  edx, edx                      NETLINK_ROUTE
    0xb8, 0x29, 0, 0, 0,             // mov  eax, 41                       socket
    0x0f, 5,                         // syscall
    0x85, 0xc0,                      // test eax, eax
    0x78, 0x69,                      // js   fail
    0x89, 0xc3,                      // mov  ebx, eax
    0x89, 0xdf,                      // mov  edi, ebx
    0x48, 0x8d, 0x35, 0x9f, 0, 0, 0, // lea  rsi, [rip+ask]
    0xba, 0x20, 0, 0, 0,             // mov  edx, 32
    0xb8, 1, 0, 0, 0,                // mov  eax, 1                        write
    0x0f, 5,                         // syscall
    0x85, 0xc0,                      // test eax, eax
    0x78, 0x41,                      // js   done
    // copy:
    0x89, 0xdf,                      // mov  edi, ebx
    0x48, 0x8d, 0x74, 0x24, 4,       // lea  rsi, [rsp+4]
    0xba, 0xfc, 0xff, 0, 0,          // mov  edx, 65532
    0x41, 0xba, 0x40, 0, 0, 0,       // mov  r10d, MSG_DONTWAIT
    0x45, 0x31, 0xc0,                // xor  r8d, r8d
    0x45, 0x31, 0xc9,                // xor  r9d, r9d
    0xb8, 0x2d, 0, 0, 0,             // mov  eax, 45                       recvfrom
    0x0f, 5,                         // syscall
    0x85, 0xc0,                      // test eax, eax
    0x7e, 0x17,                      // jle  end
    0x89, 4, 0x24,                   // mov  [rsp], eax
    0x8d, 0x50, 4,                   // lea  edx, [rax+4]
    0xbf, 1, 0, 0, 0,                // mov  edi, 1                        standard output
    0x48, 0x89, 0xe6,                // mov  rsi, rsp
    0xb8, 1, 0, 0, 0,                // mov  eax, 1                        write
    0x0f, 5,                         // syscall
    0xeb, 0xc6,                      // jmp  copy
    // end:
    0x83, 0xf8, 0xf5,                // cmp  eax, -EAGAIN
    0x75, 2,                         // jne  done
    0x31, 0xc0,                      // xor  eax, eax
    // done:
    0x89, 0xc5,                      // mov  ebp, eax
    0x89, 0xdf,                      // mov  edi, ebx
    0xb8, 3, 0, 0, 0,                // mov  eax, 3                        close
    0x0f, 5,                         // syscall
    0x89, 0xe8,                      // mov  eax, ebp
    // fail: what the call gave is the error number, negative
    0x89, 0xc5,                      // mov  ebp, eax
    0x44, 0x89, 0xf7,                // mov  edi, r14d
    0xbe, 0, 0, 0, 0x40,             // mov  esi, CLONE_NEWNET
    0xb8, 0x34, 1, 0, 0,             // mov  eax, 308                      setns
    0x0f, 5,                         // syscall
    0x85, 0xc0,                      // test eax, eax
    0x78, 0x23,                      // js   over
    0x89, 0xe8,                      // mov  eax, ebp
    0x48, 0xc1, 0xe0, 0x20,          // shl  rax, 32
    0x48, 0x89, 4, 0x24,             // mov  [rsp], rax
    0xbf, 1, 0, 0, 0,                // mov  edi, 1                        standard output
    0x48, 0x89, 0xe6,                // mov  rsi, rsp
    0xba, 8, 0, 0, 0,                // mov  edx, 8
    0xb8, 1, 0, 0, 0,                // mov  eax, 1                        write
    0x0f, 5,                         // syscall
    0xe9, 0xf6, 0xfe, 0xff, 0xff,    // jmp  next
    // over:
    0x31, 0xff,                      // xor  edi, edi
    0xb8, 0xe7, 0, 0, 0,             // mov  eax, 231                      exit_group
    0x0f, 5,                         // syscall
  ],
  aarch64: wordsToBytes([
    0xd14043ff, // sub  sp, sp, #65536     the buffer
    0x92800c60, // mov  x0, #-100          AT_FDCWD
    0x10000ba1, // adr  x1, own
    0xd2a00102, // mov  x2, O_CLOEXEC
    0xd2800003, // mov  x3, #0
    0xd2800708, // mov  x8, #56            openat
    0xd4000001, // svc  #0
    0xaa0003f5, // mov  x21, x0
    // next:
    0xd2800000, // mov  x0, #0             standard input
    0x910003e1, // mov  x1, sp
    0xd2820002, // mov  x2, #4096
    0xd28007e8, // mov  x8, #63            read
    0xd4000001, // svc  #0
    0xf100001f, // cmp  x0, #0
    0x540008cd, // b.le over
    0x92800c60, // mov  x0, #-100          AT_FDCWD
    0x910003e1, // mov  x1, sp
    0xd2a00102, // mov  x2, O_CLOEXEC
    0xd2800003, // mov  x3, #0
    0xd2800708, // mov  x8, #56            openat
    0xd4000001, // svc  #0
    0xb7f80620, // tbnz x0, #63, fail
    0xaa0003f3, // mov  x19, x0
    0xd2a80001, // mov  x1, CLONE_NEWNET
    0xd2802188, // mov  x8, #268           setns
    0xd4000001, // svc  #0
    0xaa0003f4, // mov  x20, x0
    0xaa1303e0, // mov  x0, x19
    0xd2800728, // mov  x8, #57            close
    0xd4000001, // svc  #0
    0xaa1403e0, // mov  x0, x20
    0xb7f804e0, // tbnz x0, #63, fail
    0xd2800200, // mov  x0, #16            AF_NETLINK
    0xd2800061, // mov  x1, #3
    0xf2a00101, // movk x1, #8, lsl #16    SOCK_RAW | SOCK_CLOEXEC
    0xd2800002, // mov  x2, #0             NETLINK_ROUTE
    0xd28018c8, // mov  x8, #198           socket
    0xd4000001, // svc  #0
    0xb7f80400, // tbnz x0, #63, fail
    0xaa0003f3, // mov  x19, x0
    0x100005e1, // adr  x1, ask
    0xd2800402, // mov  x2, #32
    0xd2800808, // mov  x8, #64            write
    0xd4000001, // svc  #0
    0xb7f802a0, // tbnz x0, #63, done
    // copy:
    0xaa1303e0, // mov  x0, x19
    0x910013e1, // add  x1, sp, #4
    0xd29fff82, // mov  x2, #65532
    0xd2800803, // mov  x3, MSG_DONTWAIT
    0xd2800004, // mov  x4, #0
    0xd2800005, // mov  x5, #0
    0xd28019e8, // mov  x8, #207           recvfrom
    0xd4000001, // svc  #0
    0xf100001f, // cmp  x0, #0
    0x5400010d, // b.le end
    0xb90003e0, // str  w0, [sp]
    0x91001002, // add  x2, x0, #4
    0xd2800020, // mov  x0, #1             standard output
    0x910003e1, // mov  x1, sp
    0xd2800808, // mov  x8, #64            write
    0xd4000001, // svc  #0
    0x17fffff0, // b    copy
    // end:
    0xb1002c1f, // cmn  x0, #EAGAIN
    0x54000041, // b.ne done
    0xd2800000, // mov  x0, #0
    // done:
    0xaa0003f4, // mov  x20, x0
    0xaa1303e0, // mov  x0, x19
    0xd2800728, // mov  x8, #57            close
    0xd4000001, // svc  #0
    0xaa1403e0, // mov  x0, x20
    // fail: what the call gave is the error number, negative
    0xaa0003f4, // mov  x20, x0
    0xaa1503e0, // mov  x0, x21
    0xd2a80001, // mov  x1, CLONE_NEWNET
    0xd2802188, // mov  x8, #268           setns
    0xd4000001, // svc  #0
    0xb7f80120, // tbnz x0, #63, over
    0xd3607e80, // lsl  x0, x20, #32
    0xf90003e0, // str  x0, [sp]
    0xd2800020, // mov  x0, #1             standard output
    0x910003e1, // mov  x1, sp
    0xd2800102, // mov  x2, #8
    0xd2800808, // mov  x8, #64            write
    0xd4000001, // svc  #0
    0x17ffffb5, // b    next
    // over:
    0xd2800000, // mov  x0, #0
    0xd2800bc8, // mov  x8, #94            exit_group
    0xd4000001, // svc  #0
  ]),
};

/**
 * Puts the program into a folder that is the agent's own.
 *
 * @returns its path; undefined where there is none for this machine
 */
export async function installInterfaceLister(folder: string): Promise<string | undefined> {
  const program = interfaceLister();
  return program && await installProgram(join(folder, "interfaces"), program);
}

/** One running lister, started when it is first asked, and anew when it has ended. */
export class InterfaceLister {
  readonly #program: string;
  #child: Child | undefined;
  /** The answers come in the order of the questions, one at a time. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param program what {@link installInterfaceLister} installed */
  constructor(program: string) {
    this.#program = program;
  }

  readonly list: ListInterfaces = (path, signal) => {
    const answer = this.#last.then(() => {
      signal.throwIfAborted();
      return this.#ask(path);
    });
    this.#last = answer.catch(() => {});
    return answer;
  };

  /** Ends the program. */
  async close(): Promise<void> {
    await this.#last;
    await this.#child?.end();
    this.#child = undefined;
  }

  async #ask(path: string): Promise<Interfaces> {
    const request = new TextEncoder().encode(`${path}\0`);
    if (request.length > LONGEST_PATH || path.includes("\0")) {
      throw new Error(`the path of the network namespace is too long`);
    }
    this.#child ??= new Child(this.#program);
    let answer: Uint8Array;
    try {
      answer = await this.#child.ask(request);
    } catch (error) {
      // What comes from it now may belong to this question: it is not asked again.
      const child = this.#child;
      this.#child = undefined;
      await child.end();
      throw error;
    }
    return parseAnswer(answer, path);
  }
}

/** The program while it runs. */
class Child {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(program: string) {
    this.#process = new Deno.Command(program, {
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#reader = this.#process.stdout.getReader();
  }

  async ask(request: Uint8Array): Promise<Uint8Array> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no answer within ${ANSWER_LIMIT_MS} ms`)),
        ANSWER_LIMIT_MS,
      );
    });
    try {
      return await Promise.race([this.#exchange(request), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #exchange(request: Uint8Array): Promise<Uint8Array> {
    await this.#writer.write(request);
    let answer = new Uint8Array(0);
    while (!isWhole(answer)) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("the program that lists interfaces has ended");
      answer = Buffer.concat([answer, value]);
    }
    return answer;
  }

  async end(): Promise<void> {
    await this.#writer.close().catch(() => {});
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#reader.cancel().catch(() => {});
    await this.#process.status;
  }
}

/** Each part begins with its length; the one of no length, with the error number, is the last. */
function isWhole(answer: Uint8Array): boolean {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  for (let at = 0; at + 8 <= answer.length;) {
    const length = view.getUint32(at, true);
    if (length === 0) return true;
    at += 4 + length;
  }
  return false;
}

/** @throws Error that says why the namespace could not be looked into */
function parseAnswer(answer: Uint8Array, path: string): Interfaces {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  const datagrams: Uint8Array[] = [];
  let at = 0;
  for (let length; (length = view.getUint32(at, true)) > 0; at += 4 + length) {
    datagrams.push(answer.subarray(at + 4, at + 4 + length));
  }
  const cannot = `cannot list the interfaces in the network namespace ${path}`;
  const errno = view.getInt32(at + 4, true);
  if (errno !== 0) throw new Error(`${cannot}: ${getSystemErrorName(errno) ?? `error ${-errno}`}`);
  try {
    return parseLinks(datagrams);
  } catch (error) {
    throw new Error(`${cannot}: ${errorMessage(error)}`, { cause: error });
  }
}
