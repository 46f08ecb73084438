/** Makes all that a release consists of (`deno task release`), into dist/release. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import config from "../../deno.json" with { type: "json" };
import { buildExecutable } from "../executable/build.ts";
import { ROOT } from "../executable/deno.ts";
import { type Target, targetOf } from "../executable/targets.ts";
import { writeImage } from "../image/build.ts";
import { makeSbom } from "../supply/sbom.ts";
import { chartPackage } from "./chart.ts";
import { krewArchive, krewManifest } from "./krew.ts";
import { LOCAL_BUILDER, provenance, sha256Of, type Subject } from "./provenance.ts";

export const RELEASE = join(ROOT, "dist/release");

export interface ReleaseOptions {
  /** An empty folder, or one that is to be replaced. */
  readonly folder?: string;
  readonly target?: Target;
  readonly builder?: string;
  readonly progress?: (line: string) => void;
}

export async function makeRelease(
  {
    folder = RELEASE,
    target = targetOf(undefined),
    builder = LOCAL_BUILDER,
    progress = () => {},
  }: ReleaseOptions = {},
): Promise<void> {
  const base = `network-dra-${config.version}`;
  const at = (name: string) => join(folder, name);
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder, { recursive: true });
  const executable = at(`${base}-linux-${target.architecture}`);
  await buildExecutable({ target, output: executable, progress });
  const archive = `${base}-kubectl-${target.architecture}.tar.gz`;
  const plugin = at(`${base}-plugin`);
  await buildExecutable({ target, output: plugin, purpose: "plugin", progress });
  await Deno.writeFile(at(archive), await krewArchive(plugin));
  await Deno.remove(plugin);
  await Deno.writeTextFile(
    at(`${base}.krew.yaml`),
    await krewManifest({
      version: config.version,
      architecture: target.architecture,
      archive,
      sha256: await sha256Of(at(archive)),
    }),
  );
  await writeImage({ target, output: at(`${base}-image-${target.architecture}.tar`), progress });
  await Deno.writeFile(at(`${base}.tgz`), await chartPackage());
  await Deno.copyFile(join(ROOT, "deploy/manifests/network-dra.yaml"), at(`${base}.yaml`));
  await writeJson(at(`${base}.cdx.json`), await makeSbom(target.architecture));
  const subject = await subjects(folder);
  const commit = await commitOf();
  if (!commit) progress("the tree is not that of a commit: the provenance names none");
  await writeJson(
    at(`${base}.intoto.json`),
    await provenance({ subject, target, builder, commit }),
  );
  const sums = (await subjects(folder)).map(({ name, digest }) => `${digest.sha256}  ${name}\n`);
  await Deno.writeTextFile(at("SHA256SUMS"), sums.join(""));
  progress(`\n${folder}/SHA256SUMS:\n${sums.join("")}`);
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await Deno.writeTextFile(path, JSON.stringify(value, null, 2) + "\n");
}

/** The files of a folder with their digests, by name. */
async function subjects(folder: string): Promise<Subject[]> {
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).toSorted();
  return await Promise.all(names.map(async (name) => ({
    name,
    digest: { sha256: await sha256Of(join(folder, name)) },
  })));
}

/** The commit whose tree this is, to the last byte. */
async function commitOf(): Promise<string | undefined> {
  const status = await git("status", "--porcelain");
  return status === "" ? await git("rev-parse", "HEAD") : undefined;
}

async function git(...args: string[]): Promise<string | undefined> {
  try {
    const command = new Deno.Command("git", { args, cwd: ROOT, stdin: "null" });
    const { success, stdout } = await command.output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    // Sources without git are of no commit.
    return undefined;
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: { target: { type: "string" }, builder: { type: "string" } },
  });
  await makeRelease({
    target: targetOf(values.target),
    builder: values.builder,
    progress: console.log,
  });
}
