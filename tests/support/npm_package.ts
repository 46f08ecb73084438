import { createHash } from "node:crypto";
import { join } from "node:path";
import { cacheFolder } from "../../mod/simulator/debian_package.ts";
import { DOWNLOAD_LIMIT_MINUTES, outputWithin } from "../../mod/simulator/output_within.ts";

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** SHA-512 in base64, as the registry has it. */
  readonly integrity: string;
}

/** Unpacks a package into the cache, once, and runs nothing of it. Gives the folder of its files. */
export async function fetchNpmPackage(
  { name, version, integrity }: NpmPackage,
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<string> {
  const folder = join(cacheFolder(), "npm");
  const target = join(folder, `${name.replace("/", "-")}-${version}`);
  if (await Deno.stat(target).then(() => true, () => false)) return target;
  progress?.(`fetching npm's package ${name}@${version}; once, into ${folder}`);
  await Deno.mkdir(folder, { recursive: true });
  const work = await Deno.makeTempDir({ dir: folder, prefix: ".unpacking-" });
  try {
    await run("npm", ["pack", "--silent", "--pack-destination", work, `${name}@${version}`]);
    const archive = join(work, [...Deno.readDirSync(work)][0]!.name);
    const sum = createHash("sha512").update(await Deno.readFile(archive)).digest("base64");
    if (`sha512-${sum}` !== integrity) {
      throw new Error(`${name}@${version} has the checksum sha512-${sum}, not ${integrity}`);
    }
    await run("tar", ["-xzf", archive, "-C", work]);
    await Deno.rename(join(work, "package"), target);
    return target;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await outputWithin(DOWNLOAD_LIMIT_MINUTES, program, {
    args: [...args],
    stdout: "null",
  });
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr).trim()}`);
}
