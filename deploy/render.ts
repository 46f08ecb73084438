/** Renders the Helm chart with its default values into deploy/manifests (`deno task manifests`). */
import { fetchHelmRender, renderChart } from "../tests/support/helm_render.ts";

const FILE = new URL("manifests/network-dra.yaml", import.meta.url).pathname;

/** The plain manifests as they must stand in the file. */
export async function plainManifests(program: string): Promise<string> {
  return "# Rendered from deploy/helm/network-dra by `deno task manifests`; change the chart, not this.\n" +
    await renderChart(program);
}

if (import.meta.main) {
  const found = await fetchHelmRender({ progress: (line) => console.log(line) });
  if ("missing" in found) throw new Error(found.missing);
  await Deno.writeTextFile(FILE, await plainManifests(found.path));
  console.log(`wrote ${FILE}`);
}
