/**
 * A Deno that can compile where no base runtime can be fetched. npm has none of any release, but it
 * has an executable that somebody made by `deno compile` with Deno 2.7.11: its base runtime is the
 * ELF file that it begins with.
 */
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { targetOf } from "../../deploy/executable/targets.ts";
import { fetchNpmPackage } from "./npm_package.ts";

const VERSION = "2.7.11";
const DENO = {
  name: "@deno/linux-x64-glibc",
  version: VERSION,
  integrity:
    "sha512-TCRXqy4rHI+pKmWfjIz/qfDyfTz61qhxj+03kEJ3r0YzRGsXNoHyE7WiUawwUK2hbrBAu7hn3m5833VUYqRzOg==",
};
const COMPILED = {
  name: "@stdy/cli-linux-x64",
  version: "0.22.2",
  integrity:
    "sha512-kp5QdG26EC8gEzVXI0YgzmiiFHz7DFCNRLNfAWa2rDPHr/jUBnfkP8AlbTPmv0YNQpnKn1wzSWHFw88fn/OTog==",
};

/** To be called first where the network can be reached. */
export async function fetchDenoCompile(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<{ readonly deno: string; readonly compiled: string }> {
  const [deno, compiled] = await Promise.all([
    fetchNpmPackage(DENO, { progress }),
    fetchNpmPackage(COMPILED, { progress }),
  ]);
  return { deno: join(deno, "deno"), compiled: join(compiled, "bin/steady") };
}

/**
 * Compiles a bundle, with the base runtime where Deno looks for one that it fetched: zipped, in
 * DENO_DIR.
 *
 * @param folder an empty one, for DENO_DIR
 */
export async function denoCompile(
  bundle: string,
  { flags, output, folder }: {
    readonly flags: readonly string[];
    readonly output: string;
    readonly folder: string;
  },
): Promise<void> {
  const { deno, compiled } = await fetchDenoCompile();
  const { triple } = targetOf("amd64");
  const release = join(folder, `dl/release/v${VERSION}`);
  await Deno.mkdir(release, { recursive: true });
  const base = elfOf(await Deno.readFile(compiled));
  await Deno.writeFile(join(release, `denort-${triple}.zip`), zip("denort", base));
  const { success, stderr } = await new Deno.Command(deno, {
    args: ["compile", "--quiet", "--no-check", ...flags, "--output", output, bundle],
    env: { DENO_DIR: folder, NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) throw new Error(`deno compile: ${new TextDecoder().decode(stderr)}`);
}

/** An ELF file without what follows it: it ends with the table of its sections. */
function elfOf(file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset);
  const [offset, size, count] = [
    Number(view.getBigUint64(0x28, true)), // e_shoff
    view.getUint16(0x3a, true), // e_shentsize
    view.getUint16(0x3c, true), // e_shnum
  ];
  return file.subarray(0, offset + size * count);
}

/** An archive of one file, which is stored as it is. */
function zip(name: string, content: Uint8Array): Uint8Array {
  const path = new TextEncoder().encode(name);
  const u16 = (value: number) => [value & 0xff, value >>> 8 & 0xff];
  const u32 = (value: number) => [...u16(value), ...u16(value >>> 16)];
  // Version 2.0, no flags, stored, no time, the checksum, the size twice, the name's length, no extras.
  const facts = [
    ...[...u16(20), ...u16(0), ...u16(0), ...u32(0), ...u32(crc32(content))],
    ...[...u32(content.length), ...u32(content.length), ...u16(path.length), ...u16(0)],
  ];
  const local = [0x50, 0x4b, 3, 4, ...facts, ...path];
  // Made by Unix; no comment, the first disk, no attributes, at the archive's begin.
  const central = [
    ...[0x50, 0x4b, 1, 2, ...u16(0x0314), ...facts, ...u16(0), ...u16(0), ...u16(0), ...u32(0)],
    ...[...u32(0), ...path],
  ];
  const end = [
    ...[0x50, 0x4b, 5, 6, ...u16(0), ...u16(0), ...u16(1), ...u16(1), ...u32(central.length)],
    ...[...u32(local.length + content.length), ...u16(0)],
  ];
  const archive = new Uint8Array(local.length + content.length + central.length + end.length);
  archive.set(local);
  archive.set(content, local.length);
  archive.set([...central, ...end], local.length + content.length);
  return archive;
}
