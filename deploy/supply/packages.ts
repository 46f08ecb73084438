/** What the project is made of besides its own sources: the lock file, with what each package says of itself. */
import { join } from "node:path";
import { bundleArguments } from "../executable/bundle.ts";
import { pageArguments } from "../executable/page.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

export interface Package {
  readonly name: string;
  readonly version: string;
  /** SPDX identifier or expression. */
  readonly licence: string;
  /** SHA-512 of the package's archive, in base64, as the registry has it. */
  readonly integrity: string;
  /** Names and versions, joined by "@". */
  readonly dependencies: readonly string[];
  /** Named by deno.json or by a script of the project. */
  readonly direct: boolean;
  /** Whether code of it is in the executable. */
  readonly shipped: boolean;
  /** It wants to run a script when it is installed; Deno runs none. */
  readonly installScript: boolean;
}

interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, LockEntry>>;
}

interface LockEntry {
  readonly integrity: string;
  readonly dependencies?: readonly string[];
  readonly optionalDependencies?: readonly string[];
  readonly scripts?: boolean;
}

/** Without the peers that the lock file tells versions apart by: `a@1_b@2` is `a@1`. */
function plain(key: string): string {
  return key.replace(/(?<=.@\d[^_]*)_.*$/, "");
}

function split(key: string): { readonly name: string; readonly version: string } {
  const at = key.lastIndexOf("@");
  return { name: key.slice(0, at), version: key.slice(at + 1) };
}

/** All packages of the lock file, by name. @throws Error where one is not installed */
export async function readPackages(): Promise<Package[]> {
  const lock: Lock = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.lock")));
  const entries = Object.entries(lock.npm);
  const keys = new Map(entries.map(([key]) => [plain(key), key]));
  const byName = new Map([...keys.keys()].map((key) => [split(key).name, key]));
  const direct = new Set(
    Object.entries(lock.specifiers).map(([specifier, version]) => {
      return plain(`${specifier.slice("npm:".length).replace(/@[^@]*$/, "")}@${version}`);
    }),
  );
  const shipped = await shippedPackages();
  const cache = await packageCache();
  const packages = entries.map(async ([key, entry]): Promise<Package> => {
    const id = plain(key);
    const { name, version } = split(id);
    const named = [...entry.dependencies ?? [], ...entry.optionalDependencies ?? []];
    return {
      name,
      version,
      licence: await licenceOf(cache, { name, version }),
      integrity: entry.integrity,
      // A name without a version means the only one there is.
      dependencies: named.map((dependency) => byName.get(dependency) ?? plain(dependency)),
      direct: direct.has(id),
      shipped: shipped.has(id),
      installScript: entry.scripts === true,
    };
  });
  return (await Promise.all(packages)).toSorted((a, b) => a.name < b.name ? -1 : 1);
}

/** The packages of which the bundler took code into what is shipped: the program, and the page of `ui`. */
async function shippedPackages(): Promise<Set<string>> {
  const program = await bundledPackages(bundleArguments);
  const page = await bundledPackages(pageArguments);
  return program.union(page);
}

/** @param argumentsFor those of `deno bundle`, for a file to write */
async function bundledPackages(
  argumentsFor: (output: string) => readonly string[],
): Promise<Set<string>> {
  const folder = await Deno.makeTempDir();
  try {
    const output = join(folder, "bundle.js");
    await deno(...argumentsFor(output), "--sourcemap=external");
    const { sources } = JSON.parse(await Deno.readTextFile(`${output}.map`));
    const found = new Set<string>();
    for (const source of sources as string[]) {
      const match = source.match(/\/npm\/[^/]+\/((?:@[^/]+\/)?[^/]+)\/(\d[^/]*)\//);
      if (match) found.add(plain(`${match[1]}@${match[2]}`));
    }
    return found;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The folders in which Deno keeps packages, a registry each. */
async function packageCache(): Promise<string[]> {
  const { npmCache } = JSON.parse(await deno("info", "--json"));
  return (await Array.fromAsync(Deno.readDir(npmCache))).filter(({ isDirectory }) => isDirectory)
    .map(({ name }) => join(npmCache, name));
}

async function licenceOf(
  cache: readonly string[],
  { name, version }: { readonly name: string; readonly version: string },
): Promise<string> {
  for (const folder of cache) {
    const path = join(folder, name, version, "package.json");
    const text = await Deno.readTextFile(path).catch(() => undefined);
    const licence = text && JSON.parse(text).license;
    if (typeof licence === "string") return licence;
  }
  // The builds of a tool for other machines are not fetched; they are of its own licence.
  const tool = name.match(/^(.+)-(darwin|linux|win32)-[a-z0-9]+$/)?.[1];
  if (tool) return await licenceOf(cache, { name: tool, version });
  throw new Error(`${name}@${version} is not installed, or names no licence: run deno install`);
}

async function deno(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(`deno ${args[0]}: ${new TextDecoder().decode(stderr).trim()}`);
}
