import { join } from "node:path";
import { cacheFolder } from "../../mod/simulator/debian_package.ts";
import { BUILD_LIMIT_MINUTES, outputWithin } from "../../mod/simulator/output_within.ts";

/**
 * The releases that are tested, and the module file of each: the oldest that serves
 * resource.k8s.io/v1 by default, the one that is tested most, and the newest.
 */
export const MODULE_FILES = {
  "1.34.4": "v1.34.4.mod",
  "1.36.2": "go.mod",
  "1.37.2": "v1.37.2.mod",
} as const;
export type KubernetesVersion = keyof typeof MODULE_FILES;
export const KUBERNETES: KubernetesVersion = "1.36.2";

/** 36 of 1.36.2. */
export function minorOf(version: KubernetesVersion): number {
  return Number(version.split(".")[1]);
}

/** Built with later releases of Go, the API server's OpenAPI document breaks. */
const GO = "1.26";

const SOURCE = new URL("kubernetes", import.meta.url).pathname;
const PROGRAMS = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
] as const;
/** What they all are, by the name by which it is called. */
const BUILT = "kubernetes";

export type KubernetesProgram = typeof PROGRAMS[number];
export type KubernetesPrograms =
  | Readonly<Record<KubernetesProgram, string>>
  | { readonly missing: string };

/**
 * The programs of the control plane and the node: those in the folder KUBE_BIN, which stand for the
 * release that is tested most, or else built into the cache, once, which takes five minutes. To be
 * called first where the network can be reached. Go's own caches are used, so that a build that was
 * broken off goes on where it was. Without Go it tells why.
 *
 * @throws Error when KUBE_BIN does not hold them
 */
export async function fetchKubernetes(
  version: KubernetesVersion,
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<KubernetesPrograms> {
  const own = version === KUBERNETES ? Deno.env.get("KUBE_BIN") : undefined;
  const folder = own || join(cacheFolder(), `kubernetes-${version}`);
  const programs = Object.fromEntries(PROGRAMS.map((name) => [name, join(folder, name)])) as Record<
    KubernetesProgram,
    string
  >;
  const absent = await notThere(Object.values(programs));
  if (absent.length === 0) return programs;
  if (own) throw new Error(`KUBE_BIN: there is no ${absent.join(", no ")}`);
  const obstacle = await goObstacle();
  if (obstacle) return { missing: `Kubernetes cannot be built: ${obstacle}; or give KUBE_BIN` };
  await Deno.mkdir(cacheFolder(), { recursive: true });
  const work = await Deno.makeTempDir({ dir: cacheFolder(), prefix: ".building-kubernetes-" });
  progress?.(`building Kubernetes ${version}; once, into ${folder}; this takes five minutes`);
  try {
    const problem = await buildOfKubernetes(version, { package: ".", program: join(work, BUILT) });
    if (problem) return { missing: `Kubernetes ${version} cannot be built: ${problem}` };
    for (const name of PROGRAMS) await Deno.symlink(BUILT, join(work, name));
    await Deno.mkdir(folder, { recursive: true });
    // Whole or not at all, should another process build them too.
    for (const name of [BUILT, ...PROGRAMS]) {
      await Deno.rename(join(work, name), join(folder, name));
    }
    return programs;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function notThere(paths: readonly string[]): Promise<string[]> {
  const there = await Promise.all(
    paths.map((path) => Deno.stat(path).then(() => true, () => false)),
  );
  return paths.filter((_, i) => !there[i]);
}

async function goObstacle(): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command("go", {
      args: ["env", "GOVERSION"],
      env: { GOTOOLCHAIN: "local" },
      stdin: "null",
    }).output();
    const version = new TextDecoder().decode(stdout).trim();
    return version.startsWith(`go${GO}`) ? undefined : `it takes Go ${GO}, and this is ${version}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `there is no Go (${GO})`;
    throw error;
  }
}

/**
 * Builds one of the packages beside the module files (tests/e2e/kubernetes) with a release. What several
 * of them need, Go compiles once. Gives the last line of what Go said when it cannot build it.
 */
export async function buildOfKubernetes(
  version: KubernetesVersion,
  options: { readonly package: string; readonly program: string },
): Promise<string | undefined> {
  const stamped = "k8s.io/component-base/version";
  const [major, minor] = version.split(".");
  const stamps = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(stamps).map(([key, value]) => `-X ${stamped}.${key}=${value}`);
  return await buildWithCaches({
    cwd: SOURCE,
    args: [
      ...["-modfile", MODULE_FILES[version], "-ldflags", `-s -w ${flags.join(" ")}`],
      ...["-o", options.program, options.package],
    ],
  });
}

/**
 * Runs `go build` with Go's own caches: what was compiled once of the same release of a module is not
 * compiled again. Gives the last line of what Go said when it cannot build it.
 */
export async function buildWithCaches(
  { cwd, args }: { readonly cwd: string; readonly args: readonly string[] },
): Promise<string | undefined> {
  const { success, stderr } = await outputWithin(BUILD_LIMIT_MINUTES, "nice", {
    args: [
      // Other tests may run meanwhile.
      ...["-n", "19", "go", "build", "-mod=readonly"],
      // No information for debuggers: compiling takes less.
      ...["-trimpath", "-gcflags=all=-dwarf=false", ...args],
    ],
    cwd,
    // There is memory enough for a compiler that collects its garbage less often.
    env: { GOTOOLCHAIN: "local", CGO_ENABLED: "0", GOGC: "400" },
  });
  return success ? undefined : new TextDecoder().decode(stderr).trim().split("\n").at(-1);
}
