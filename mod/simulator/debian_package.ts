import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { DOWNLOAD_LIMIT_MINUTES, outputWithin } from "./output_within.ts";

export interface DebianPackageOptions {
  /** Debian's release, such as bookworm, trixie or forky; the machine's own where it is not named. */
  readonly suite?: string;
  /** Where unpacked packages are kept. */
  readonly cache: string;
  /** The only file of it that is kept, for packages that are large. */
  readonly keep?: string;
  /** Also fetches everything that it depends on, as for a machine without any package. */
  readonly withDependencies?: boolean;
  readonly progress?: (line: string) => void;
}

/** Where this project keeps what it fetched: NETWORK_DRA_CACHE, or the user's cache folder. */
export function cacheFolder(): string {
  const own = Deno.env.get("NETWORK_DRA_CACHE");
  if (own) return own;
  const base = Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME") ?? "/tmp", ".cache");
  return join(base, "network-dra");
}

/**
 * Fetches a Debian package and unpacks it into the cache, without installing it and without touching
 * apt's own lists and configuration. Gives the folder that holds its files.
 *
 * Two processes can do this at the same time: each unpacks into its own folder, and the first one wins.
 */
export async function fetchDebianPackage(
  name: string,
  { suite, cache, keep, withDependencies = false, progress }: DebianPackageOptions,
): Promise<string> {
  const mirror = await ownMirror();
  const release = suite ?? mirror.suite;
  const whole = withDependencies ? "-whole" : "";
  const target = join(cache, "debian", `${name}${whole}_${release}_${Deno.build.arch}`);
  if (await exists(target)) return target;
  progress?.(`fetching Debian's package ${name} (${release}); once, into ${cache}`);
  await Deno.mkdir(join(cache, "debian"), { recursive: true });
  const work = await Deno.makeTempDir({ dir: join(cache, "debian"), prefix: ".unpacking-" });
  try {
    const source = { ...mirror, suite: release };
    const archives = withDependencies
      ? await downloadWhole(work, name, source)
      : [await download(work, name, source)];
    await Deno.mkdir(join(work, "files"));
    for (const archive of archives) {
      await run("dpkg-deb", ["-x", archive, join(work, "files")], work);
    }
    if (keep !== undefined) {
      await Deno.mkdir(join(work, "kept", dirname(keep)), { recursive: true });
      await Deno.rename(join(work, "files", keep), join(work, "kept", keep));
    }
    try {
      await Deno.rename(join(work, keep === undefined ? "files" : "kept"), target);
    } catch (error) {
      if (!await exists(target)) throw error;
    }
    return target;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** One build of a package, as Debian's index has it. */
export interface PinnedPackage {
  readonly name: string;
  readonly suite: string;
  readonly version: string;
  /** As Debian names it: amd64, arm64, or all. */
  readonly architecture: string;
  readonly sha256: string;
}

/**
 * Fetches a package file (.deb) into the cache. Gives its path; the file has the pinned checksum,
 * whether it is new or from the cache.
 */
export async function fetchPinnedPackage(
  pinned: PinnedPackage,
  { cache, progress }: Omit<DebianPackageOptions, "suite">,
): Promise<string> {
  const { name, suite, version, architecture } = pinned;
  const target = join(cache, "debian", `${name}_${version}_${architecture}.deb`);
  if (await hasChecksum(target, pinned)) return target;
  progress?.(`fetching Debian's package ${name} ${version} (${architecture}); once, into ${cache}`);
  await Deno.mkdir(join(cache, "debian"), { recursive: true });
  const work = await Deno.makeTempDir({ dir: join(cache, "debian"), prefix: ".unpacking-" });
  try {
    const mirror = { ...await ownMirror(), suite };
    const archive = await download(work, `${name}=${version}`, {
      ...mirror,
      architecture: architecture === "all" ? undefined : architecture,
    });
    if (!await hasChecksum(archive, pinned)) {
      throw new Error(
        `${name} ${version} (${architecture}) does not have SHA-256 ${pinned.sha256}`,
      );
    }
    await Deno.rename(archive, target);
    return target;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function hasChecksum(path: string, { sha256 }: PinnedPackage): Promise<boolean> {
  const content = await Deno.readFile(path).catch(() => undefined);
  return content !== undefined && createHash("sha256").update(content).digest("hex") === sha256;
}

/** Downloads the archive of `name` or `name=version` into a new folder. Gives its path. */
async function download(work: string, name: string, mirror: Mirror): Promise<string> {
  const apt = await privateApt(work, mirror);
  await run("apt-get", [...apt, "-q", "update"], work);
  await run("apt-get", [...apt, "-q", "download", name], work);
  const archive = [...Deno.readDirSync(work)].find((entry) => entry.name.endsWith(".deb"));
  if (!archive) throw new Error(`apt-get downloaded no package ${name} from ${mirror.suite}`);
  return join(work, archive.name);
}

/** Downloads a package and everything that it depends on. Gives the paths of the archives. */
async function downloadWhole(work: string, name: string, mirror: Mirror): Promise<string[]> {
  const apt = await privateApt(work, mirror);
  await run("apt-get", [...apt, "-q", "update"], work);
  const install = ["--yes", "--no-install-recommends", "--download-only", "install", name];
  await run("apt-get", [...apt, "-q", ...install], work);
  const folder = join(work, "cache/archives");
  return [...Deno.readDirSync(folder)].filter((entry) => entry.name.endsWith(".deb"))
    .map((entry) => join(folder, entry.name));
}

interface Mirror {
  readonly uri: string;
  readonly suite: string;
  readonly keyring: string;
  /** The machine's own where it is not named. */
  readonly architecture?: string;
}

/** The mirror that this machine's own apt uses for Debian's main archive. */
async function ownMirror(): Promise<Mirror> {
  const suite = (await read("/etc/os-release")).match(/^VERSION_CODENAME=(\S+)/m)?.[1] ?? "stable";
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  const lists = ["/etc/apt/sources.list"];
  try {
    for await (const { name } of Deno.readDir("/etc/apt/sources.list.d")) {
      lists.push(join("/etc/apt/sources.list.d", name));
    }
  } catch {
    // No such folder: the one file is all there is.
  }
  for (const list of lists) {
    const text = await read(list);
    const uri = text.match(/^URIs:\s*(\S*\/debian\/?)\s*$/m)?.[1] ??
      text.match(/^deb\s+(?:\[[^\]]*\]\s+)?(\S*\/debian\/?)\s/m)?.[1];
    if (uri) return { uri, suite, keyring };
  }
  throw new Error("this machine's apt names no Debian mirror");
}

/** Arguments that give apt its own sources, lists and cache below a folder. */
async function privateApt(
  folder: string,
  { uri, suite, keyring, architecture }: Mirror,
): Promise<string[]> {
  for (const part of ["lists/partial", "cache/archives/partial", "etc"]) {
    await Deno.mkdir(join(folder, part), { recursive: true });
  }
  const signed = await exists(keyring) ? `[signed-by=${keyring}] ` : "";
  await Deno.writeTextFile(join(folder, "etc/sources.list"), `deb ${signed}${uri} ${suite} main\n`);
  await Deno.writeTextFile(join(folder, "status"), "");
  const options = {
    "Dir::Etc::sourcelist": join(folder, "etc/sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::State::lists": join(folder, "lists"),
    "Dir::State::status": join(folder, "status"),
    "Dir::Cache": join(folder, "cache"),
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Acquire::Retries": "3",
    "Acquire::http::Timeout": "30",
    ...architecture && { "APT::Architecture": architecture, "APT::Architectures": architecture },
    // Without this, apt only warns about an archive that it cannot reach.
    "APT::Update::Error-Mode": "any",
  };
  return Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
}

async function run(program: string, args: readonly string[], cwd: string): Promise<void> {
  let output: Deno.CommandOutput;
  try {
    output = await outputWithin(DOWNLOAD_LIMIT_MINUTES, program, { args: [...args], cwd });
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Error(`the program ${program} is not installed: this is not a Debian machine`, {
      cause,
    });
  }
  if (output.success) return;
  const said = new TextDecoder().decode(output.stderr).trim().split("\n").slice(-3).join("; ");
  throw new Error(`${program} failed: ${said}`);
}

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => "");
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
