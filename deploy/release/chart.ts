import { join, relative } from "node:path";
import { ROOT } from "../executable/deno.ts";
import { tar, type TarEntry } from "../../mod/tar/tar.ts";
import { gzipStored } from "./gzip.ts";

const CHART = join(ROOT, "deploy/helm/network-dra");

/** The chart as `helm package` lays it out: all below a folder of the chart's name, Chart.yaml first. */
export async function chartPackage(): Promise<Uint8Array<ArrayBuffer>> {
  const paths = await filesBelow(CHART);
  const rank = (path: string) => path === "Chart.yaml" ? 0 : path.includes("/") ? 2 : 1;
  const sorted = paths.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const entries = sorted.map(async (path): Promise<TarEntry> => ({
    kind: "file",
    path: `network-dra/${path}`,
    content: await Deno.readFile(join(CHART, path)),
  }));
  return gzipStored(tar(await Promise.all(entries)));
}

async function filesBelow(folder: string): Promise<string[]> {
  const found = await Array.fromAsync(Deno.readDir(folder), ({ name, isDirectory }) => {
    const path = join(folder, name);
    return isDirectory ? filesBelow(path) : [relative(CHART, path)];
  });
  return found.flat();
}
