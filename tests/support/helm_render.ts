import { createHash } from "node:crypto";
import { join } from "node:path";
import { buildOnce, go } from "./go.ts";

const SOURCE = new URL("../integration/helm_render", import.meta.url).pathname;
const CHART = new URL("../../deploy/helm/network-dra", import.meta.url).pathname;

export type HelmRender = { readonly path: string } | { readonly missing: string };

/**
 * Builds the program that renders a chart as helm does (tests/integration/helm_render/main.go) into
 * the cache, once. To be called first where the network can be reached. Without Go, or without
 * helm's module, it tells why.
 */
export async function fetchHelmRender(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<HelmRender> {
  const hash = createHash("sha256");
  for (const file of ["main.go", "go.mod"]) hash.update(await Deno.readFile(join(SOURCE, file)));
  const name = `helm-render_${Deno.build.arch}_${hash.digest("hex").slice(0, 12)}`;
  return await buildOnce(name, {
    what: "what renders Helm charts",
    build: (program, work) =>
      go([
        ...["build", "-mod", "readonly", "-modcacherw", "-trimpath", "-ldflags", "-s -w"],
        ...["-o", program, "."],
      ], { cwd: SOURCE, work }),
    progress,
  });
}

/**
 * The chart's manifests with these values.
 *
 * @param chart its folder, or its package
 * @throws Error with what helm says of them
 */
export async function renderChart(
  program: string,
  values: Readonly<Record<string, unknown>> = {},
  chart: string = CHART,
): Promise<string> {
  const child = new Deno.Command(program, {
    args: [chart],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(JSON.stringify(values)));
  await input.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
  return new TextDecoder().decode(stdout);
}
