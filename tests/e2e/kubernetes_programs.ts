import { join } from "node:path";
import { cacheFolder } from "../../mod/simulator/debian_package.ts";

export const KUBERNETES = "1.36.2";

/** Built with later releases of Go, the API server's OpenAPI document breaks. */
const GO = "1.26";

const SOURCE = new URL("kubernetes", import.meta.url).pathname;
const PROGRAMS = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
] as const;

export type KubernetesProgram = typeof PROGRAMS[number];
export type KubernetesPrograms =
  | Readonly<Record<KubernetesProgram, string>>
  | { readonly missing: string };

/**
 * The programs of the control plane and the node: those in the folder KUBE_BIN, or else built into
 * the cache, once, which takes ten minutes and more. To be called first where the network can be
 * reached. Go's own caches are used, so that a build that was broken off goes on where it was. Without
 * Go it tells why.
 *
 * @throws Error when KUBE_BIN does not hold them
 */
export async function fetchKubernetes(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<KubernetesPrograms> {
  const own = Deno.env.get("KUBE_BIN");
  const folder = own || join(cacheFolder(), `kubernetes-${KUBERNETES}`);
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
  progress?.(`building Kubernetes ${KUBERNETES}; once, into ${folder}; this takes ten minutes`);
  try {
    const problem = await build(work);
    if (problem) return { missing: `Kubernetes cannot be built: ${problem}` };
    await Deno.mkdir(folder, { recursive: true });
    // Whole or not at all, should another process build them too.
    for (const name of PROGRAMS) await Deno.rename(join(work, name), programs[name]);
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

/** Builds all programs; gives the last line of what Go said when it cannot. */
async function build(folder: string): Promise<string | undefined> {
  const version = "k8s.io/component-base/version";
  const [major, minor] = KUBERNETES.split(".");
  const stamps = { gitVersion: `v${KUBERNETES}`, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(stamps).map(([key, value]) => `-X ${version}.${key}=${value}`);
  const { success, stderr } = await new Deno.Command("nice", {
    args: [
      ...["go", "build", "-mod=readonly", "-trimpath", "-ldflags", `-s -w ${flags.join(" ")}`],
      ...["-o", `${folder}/`, ...PROGRAMS.map((name) => `k8s.io/kubernetes/cmd/${name}`)],
    ],
    cwd: SOURCE,
    env: { GOTOOLCHAIN: "local", CGO_ENABLED: "0" },
    stdin: "null",
  }).output();
  return success ? undefined : new TextDecoder().decode(stderr).trim().split("\n").at(-1);
}
