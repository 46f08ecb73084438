import { createHash } from "node:crypto";
import { BUNDLE } from "./bundle.ts";
import { PLUGIN_COMMANDS, type Purpose, runArguments } from "./flags.ts";

/** A shell script with Deno and the bundle behind it; `sh` never comes to the binary part. */
function head(runtime: number, hash: string): string {
  const run = (purpose: Purpose) =>
    `exec "$dir/network-dra" ${runArguments('"$dir/network-dra.js"', purpose).join(" ")} "$@"`;
  const script = (offset: number) =>
    `#!/bin/sh
set -eu
base=\${NETWORK_DRA_CACHE:-\${XDG_CACHE_HOME:-\${HOME:-/var/cache}/.cache}/network-dra}
dir=$base/bin-${hash}
if [ ! -e "$dir" ]; then
  umask 077
  mkdir -p "$base"
  new=$(mktemp -d "$base/.unpacking-XXXXXX")
  tail -c +${String(offset + 1).padStart(6, "0")} "$0" | head -c ${runtime} > "$new/network-dra"
  tail -c +${String(offset + runtime + 1).padStart(12, "0")} "$0" > "$new/network-dra.js"
  chmod 700 "$new/network-dra"
  mv "$new" "$dir" 2>/dev/null && rmdir "$dir"/.unpacking-* 2>/dev/null || rm -rf "$new"
fi
case "$0" in
  *kubectl-network_dra) set -- kubectl "$@" ;;
esac
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
case "\${1:-}" in
  ${PLUGIN_COMMANDS.join("|")}) ${run("plugin")} ;;
esac
${run("agent")}
`;
  return script(new TextEncoder().encode(script(0)).length);
}

/** Makes a file that unpacks Deno and the bundle at its first start. */
export async function makePortable(output: string): Promise<void> {
  const runtime = await Deno.readFile(Deno.execPath());
  const code = await Deno.readFile(BUNDLE);
  const hash = createHash("sha256").update(runtime).update(code).update(head(0, ""))
    .digest("hex");
  await Deno.remove(output).catch(() => {});
  const file = await Deno.open(output, { write: true, createNew: true, mode: 0o755 });
  const writer = file.writable.getWriter();
  const start = new TextEncoder().encode(head(runtime.length, hash.slice(0, 16)));
  for (const part of [start, runtime, code]) await writer.write(part);
  await writer.close();
  await Deno.chmod(output, 0o755);
}
