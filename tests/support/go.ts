import { createHash } from "node:crypto";
import { join } from "node:path";
import { cacheFolder } from "../../mod/simulator/debian_package.ts";
import { BUILD_LIMIT_MINUTES, outputWithin } from "../../mod/simulator/output_within.ts";

/** How the folders begin in which something is built. */
const BUILDING = ".building-";

/**
 * Runs the machine's Go with its own modules and caches below a folder, so that nothing of the
 * user's is touched. Gives the last line of what Go said when it cannot do it.
 */
export async function go(
  args: readonly string[],
  { cwd, work, env }: {
    readonly cwd: string;
    readonly work: string;
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<string | undefined> {
  try {
    const { success, stderr } = await outputWithin(BUILD_LIMIT_MINUTES, "go", {
      args: [...args],
      cwd,
      env: {
        GOPATH: join(work, "path"),
        GOMODCACHE: join(work, "modules"),
        GOCACHE: join(work, "cache"),
        GOTOOLCHAIN: "local",
        // There is memory enough for a compiler that collects its garbage less often.
        GOGC: "400",
        ...env,
      },
    });
    return success ? undefined : new TextDecoder().decode(stderr).trim().split("\n").at(-1);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "there is no Go";
    throw error;
  }
}

/**
 * Builds a program into the cache, once. To be called first where the network can be reached. Where
 * it cannot be built it tells why.
 *
 * @param name of the file; what it is built from is part of it
 * @param what it is, in words
 * @param build writes the program, and gives what Go said when it cannot; `work` is a folder of its own
 */
export async function buildOnce(
  name: string,
  { build, ...options }: Said & {
    readonly build: (program: string, work: string) => Promise<string | undefined>;
  },
): Promise<{ readonly path: string } | { readonly missing: string }> {
  return await buildEach({ path: name }, {
    ...options,
    build: (_, { program, work }) => build(program, work),
  });
}

/**
 * The same for one program (`main.go`) built with several releases of a module: the paths by release.
 *
 * @param moduleFiles the module file of each release, beside the program
 * @param name of the files, to which the release is added
 * @param source the program's folder
 */
export async function buildReleases<V extends string>(
  moduleFiles: Readonly<Record<V, string>>,
  { name, source, flags = [], ...options }: Said & {
    readonly name: string;
    readonly source: string;
    readonly flags?: readonly string[];
  },
): Promise<Readonly<Record<V, string>> | { readonly missing: string }> {
  const names: Partial<Record<V, string>> = {};
  for (const [release, moduleFile] of Object.entries<string>(moduleFiles)) {
    const hash = createHash("sha256");
    for (const file of ["main.go", moduleFile]) {
      hash.update(await Deno.readFile(join(source, file)));
    }
    const digest = hash.digest("hex").slice(0, 12);
    names[release as V] = `${name}_${release}_${Deno.build.arch}_${digest}`;
  }
  return await buildEach(names as Record<V, string>, {
    ...options,
    build: (release, { program, work }) =>
      go([
        ...["build", "-modfile", moduleFiles[release], "-mod", "readonly", "-modcacherw"],
        ...["-trimpath", "-ldflags", "-s -w", ...flags, "-o", program, "."],
      ], { cwd: source, work }),
  });
}

/** What builds left that were broken off; younger ones may be in progress. */
async function removeOldBuilds(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith(BUILDING)) continue;
    const path = join(folder, name);
    const { mtime } = await Deno.stat(path).catch(() => ({ mtime: new Date() }));
    if (Date.now() - (mtime?.getTime() ?? 0) < 24 * 3_600_000) continue;
    await Deno.remove(path, { recursive: true }).catch(() => {});
  }
}

interface Said {
  readonly what: string;
  readonly progress?: (line: string) => void;
}

/** Programs that are built in one folder share Go's caches. */
async function buildEach<K extends string>(
  names: Readonly<Record<K, string>>,
  { what, build, progress }: Said & {
    readonly build: (
      key: K,
      options: { readonly program: string; readonly work: string },
    ) => Promise<string | undefined>;
  },
): Promise<Readonly<Record<K, string>> | { readonly missing: string }> {
  const folder = join(cacheFolder(), "go");
  const programs = Object.entries<string>(names).map(([key, name]) => ({
    key: key as K,
    name,
    path: join(folder, name),
  }));
  const there = await Promise.all(
    programs.map(({ path }) => Deno.stat(path).then(() => true, () => false)),
  );
  const absent = programs.filter((_, i) => !there[i]);
  if (absent.length > 0) {
    await Deno.mkdir(folder, { recursive: true });
    await removeOldBuilds(folder);
    const work = await Deno.makeTempDir({ dir: folder, prefix: BUILDING });
    progress?.(`building ${what}; once, into ${folder}`);
    try {
      for (const { key, name, path } of absent) {
        const program = join(work, name);
        const problem = await build(key, { program, work });
        if (problem !== undefined) return { missing: `${what} cannot be built: ${problem}` };
        // Whole or not at all, should another process build it too.
        await Deno.rename(program, path);
      }
    } finally {
      await Deno.remove(work, { recursive: true });
    }
  }
  return Object.fromEntries(programs.map(({ key, path }) => [key, path])) as Record<K, string>;
}
