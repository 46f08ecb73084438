/** PROVISIONAL until `deno task image`. */
import { join } from "node:path";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";
import { agentArguments } from "../support/agent_process.ts";
import { imageArchive, type TarEntry } from "../support/image.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
export const IMAGE_ARCHIVE = join(ROOT, "dist/network-dra-image.tar");
export const REPOSITORY = "localhost/network-dra";

export async function buildImage(): Promise<void> {
  await new Deno.Command(Deno.execPath(), { args: ["task", "--quiet", "build"], cwd: ROOT })
    .output();
  const busybox = await fetchDebianPackage("busybox-static", { cache: cacheFolder() });
  const flags = agentArguments().slice(0, -2).join(" ");
  const script = `#!/bin/busybox sh
export DENO_DIR=/none DENO_NO_UPDATE_CHECK=1
exec /app/deno ${
    flags.replace("run ", "run --no-code-cache --no-config --no-lock --cached-only ")
  } /app/network-dra.js "$@"
`;
  const { stdout } = await new Deno.Command("ldd", { args: [Deno.execPath()] }).output();
  const libraries = [...new TextDecoder().decode(stdout).matchAll(/(?:=>\s*|^\s*)(\/\S+) \(/gm)]
    .map(([, path]) => path!);
  const entries: TarEntry[] = [
    ...["bin", "app", "lib", "lib64", "tmp", "etc", "proc", "sys", "dev", "lib/x86_64-linux-gnu"]
      .map((path) => ({ path, folder: true } as const)),
    { path: "bin/busybox", content: await Deno.readFile(join(busybox, "bin/busybox")) },
    { path: "network-dra", content: new TextEncoder().encode(script) },
    { path: "app/deno", content: await Deno.readFile(Deno.execPath()) },
    { path: "app/network-dra.js", content: await Deno.readFile(join(ROOT, "dist/network-dra.js")) },
  ];
  for (const path of libraries) {
    entries.push({ path: path.slice(1), content: await Deno.readFile(path) });
  }
  const archive = imageArchive(entries, {
    name: `${REPOSITORY}:0.1.0`,
    config: { Entrypoint: ["/network-dra"], Cmd: ["run"] },
  });
  await Deno.writeFile(IMAGE_ARCHIVE, archive);
}
