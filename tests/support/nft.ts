import { join } from "node:path";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";

/** The folder of the node in which plugins look for programs first, and which is empty as it comes. */
const PROGRAMS = "/usr/local/sbin";

/** Debian's nft with the libraries that are its own, as the folders that hold them. */
export async function fetchNft(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<readonly string[]> {
  const folders: string[] = [];
  for (const name of ["nftables", "libnftables1", "libnftnl11"]) {
    folders.push(await fetchDebianPackage(name, { cache: cacheFolder(), progress }));
  }
  return folders;
}

/** Gives a private node the program nft until it is disposed of. */
export async function installNft(): Promise<AsyncDisposable> {
  const [program = "", ...libraries] = await fetchNft();
  const found = libraries.map((folder) => join(folder, `usr/lib/${Deno.build.arch}-linux-gnu`));
  await run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", PROGRAMS);
  const script = `#!/bin/sh\nLD_LIBRARY_PATH=${
    found.join(":")
  } exec ${program}/usr/sbin/nft "$@"\n`;
  await Deno.writeTextFile(join(PROGRAMS, "nft"), script, { mode: 0o755 });
  return { [Symbol.asyncDispose]: async () => void await run("umount", PROGRAMS) };
}

/** The packet filter's rules, without what is counted. */
export function packetFilter(): Promise<string> {
  return run(join(PROGRAMS, "nft"), "--stateless", "list", "ruleset");
}

/** Removes all rules. */
export async function clearPacketFilter(): Promise<void> {
  await run(join(PROGRAMS, "nft"), "flush", "ruleset");
}

async function run(program: string, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
  }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
