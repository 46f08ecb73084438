import { createHash } from "node:crypto";
import { join } from "node:path";
import { buildOnce, go } from "./go.ts";

const SOURCE = new URL("../e2e/helm", import.meta.url).pathname;

/** Builds helm from its Go module into the cache, once. Without Go it tells why. */
export async function fetchHelm(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<{ readonly path: string } | { readonly missing: string }> {
  const hash = createHash("sha256").update(await Deno.readFile(join(SOURCE, "go.mod")));
  return await buildOnce(`helm_${Deno.build.arch}_${hash.digest("hex").slice(0, 12)}`, {
    what: "helm",
    build: (program, work) =>
      go([
        ...["build", "-mod", "readonly", "-modcacherw", "-trimpath", "-ldflags", "-s -w"],
        ...["-gcflags=all=-dwarf=false", "-o", program, "helm.sh/helm/v3/cmd/helm"],
      ], { cwd: SOURCE, work, env: { CGO_ENABLED: "0" } }),
    progress,
  });
}
