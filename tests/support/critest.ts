import { createHash } from "node:crypto";
import { join } from "node:path";
import { buildOnce, go } from "./go.ts";

const SOURCE = new URL("../integration/critest", import.meta.url).pathname;

/**
 * Builds critest of the cri-tools, with which runtimes are held against the CRI, from its Go module
 * (tests/integration/critest) into the cache, once. To be called first where the network can be
 * reached. Without Go it tells why.
 */
export async function fetchCritest(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<{ readonly path: string } | { readonly missing: string }> {
  const hash = createHash("sha256").update(await Deno.readFile(join(SOURCE, "go.mod")));
  return await buildOnce(`critest_${Deno.build.arch}_${hash.digest("hex").slice(0, 12)}`, {
    what: "critest",
    // It is a test, as which Go builds it.
    build: (program, work) =>
      go([
        ...["test", "-c", "-vet=off", "-mod", "readonly", "-modcacherw", "-trimpath"],
        ...["-ldflags", "-s -w", "-gcflags=all=-dwarf=false", "-o", program],
        "sigs.k8s.io/cri-tools/cmd/critest",
      ], { cwd: SOURCE, work, env: { CGO_ENABLED: "0" } }),
    progress,
  });
}

/** What came of one of critest's checks. */
export interface Spec {
  readonly name: string;
  /** "passed", "skipped", or one of Ginkgo's words for what failed. */
  readonly state: string;
  /** Why it failed or was skipped. */
  readonly message: string;
}

/**
 * Runs those of critest's checks whose names hold a text.
 *
 * @param image that has `sh` and `top`, and that the runtime can pull
 * @param folder for its own files
 * @param signal ends it
 */
export async function critest(
  program: string,
  { focus, socket, nri, image, folder, signal }: {
    readonly focus: string;
    readonly socket: string;
    readonly nri: string;
    readonly image: string;
    readonly folder: string;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly specs: readonly Spec[]; readonly output: string }> {
  const [images, report] = [join(folder, "images.yaml"), join(folder, "report.json")];
  await Deno.writeTextFile(images, `defaultTestContainerImage: ${image}\n`);
  const endpoint = `unix://${socket}`;
  const { stdout } = await new Deno.Command(program, {
    args: [
      ...["-runtime-endpoint", endpoint, "-image-endpoint", endpoint, "-nri-socket", nri],
      ...["-test-images-file", images, "-config", join(folder, "none.yaml")],
      ...["-ginkgo.focus", focus, "-ginkgo.json-report", report, "-ginkgo.no-color"],
    ],
    stdin: "null",
    stderr: "null",
    signal,
  }).output();
  const output = new TextDecoder().decode(stdout);
  const suites = JSON.parse(await Deno.readTextFile(report).catch(() => "[]")) as Suite[];
  const specs = suites.flatMap(({ SpecReports }) => SpecReports)
    .filter(({ LeafNodeType }) => LeafNodeType === "It")
    .filter(({ NumAttempts }) => NumAttempts > 0)
    .map(({ LeafNodeText, State, Failure }) => ({
      name: LeafNodeText,
      state: State,
      message: Failure?.Message ?? "",
    }));
  return { specs, output };
}

interface Suite {
  readonly SpecReports: readonly {
    readonly LeafNodeType: string;
    readonly LeafNodeText: string;
    /** 0 where the focus left it out. */
    readonly NumAttempts: number;
    readonly State: string;
    readonly Failure?: { readonly Message: string };
  }[];
}
