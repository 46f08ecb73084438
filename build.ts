/**
 * Builds dist/network-dra (`deno task build`): one executable, with the agent's permissions in it.
 *
 * `deno compile` makes it from a base runtime that it fetches, or that DENORT_BIN names. Where that
 * cannot be had, the build says so and makes a portable file instead: a short shell script with Deno
 * and the bundle behind it, which unpacks itself at its first start.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import config from "./deno.json" with { type: "json" };

const ROOT = new URL(".", import.meta.url).pathname;
const DIST = join(ROOT, "dist");
const BUNDLE = join(DIST, "network-dra.js");
const OUTPUT = join(DIST, "network-dra");

/** What `try` needs beyond the agent: where its cache is, that it is inside, that it is root. */
const TRY_ENV = ["HOME", "XDG_CACHE_HOME", "NETWORK_DRA_CACHE", "NETWORK_DRA_PRIVATE_NODE"];
const TRY_SYS = ["uid"];

/** The flags of `deno task run`, where they are spelled out, with what `try` needs besides. */
function flags(): string[] {
  const words = config.tasks.run.split(" ");
  return words.slice(words.indexOf("run") + 1, words.indexOf("main.ts")).map((flag) => {
    if (flag.startsWith("--allow-env=")) return [flag, ...TRY_ENV].join(",");
    if (flag.startsWith("--allow-sys=")) return [flag, ...TRY_SYS].join(",");
    return flag;
  });
}

async function deno(...args: string[]): Promise<{ success: boolean; stderr: string }> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
  }).output();
  return { success, stderr: new TextDecoder().decode(stderr).trim() };
}

async function bundle(): Promise<void> {
  const args = ["bundle", "--quiet", "--platform=deno", "--minify", "--output", BUNDLE, "main.ts"];
  const { success, stderr } = await deno(...args);
  if (!success) throw new Error(`deno bundle failed: ${stderr}`);
}

/** Why there is no executable, or undefined when there is. */
async function compile(target: string | undefined): Promise<string | undefined> {
  const to = target === undefined ? [] : ["--target", target];
  const { success, stderr } = await deno(
    ...["compile", "--quiet", "--no-check", ...to, ...flags(), "--output", OUTPUT, BUNDLE],
  );
  if (success) return undefined;
  // The causes stand indented below the error; the innermost says most.
  return stderr.split("\n").filter((line) => /^\s+\d: |^error/.test(line) && !/unknown>/.test(line))
    .at(-1)?.trim() ?? stderr;
}

/** `sh` runs the head, which never comes to the binary part. */
function head(runtime: number, hash: string): string {
  const options = ["--no-config", "--no-lock", "--cached-only", ...flags()].join(" ");
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
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
exec "$dir/network-dra" run ${options} "$dir/network-dra.js" "$@"
`;
  return script(new TextEncoder().encode(script(0)).length);
}

async function makePortable(): Promise<void> {
  const runtime = await Deno.readFile(Deno.execPath());
  const code = await Deno.readFile(BUNDLE);
  const hash = createHash("sha256").update(runtime).update(code).update(flags().join(" "))
    .digest("hex");
  const file = await Deno.open(OUTPUT, { write: true, create: true, truncate: true, mode: 0o755 });
  const writer = file.writable.getWriter();
  const start = new TextEncoder().encode(head(runtime.length, hash.slice(0, 16)));
  for (const part of [start, runtime, code]) await writer.write(part);
  await writer.close();
  await Deno.chmod(OUTPUT, 0o755);
}

/** As container builders name architectures. */
const TARGETS: Readonly<Record<string, string>> = {
  amd64: "x86_64-unknown-linux-gnu",
  arm64: "aarch64-unknown-linux-gnu",
};

/** The machine's own, unless `--target` names another. */
function chosenTarget(): string | undefined {
  const { target } = parseArgs({ args: Deno.args, options: { target: { type: "string" } } }).values;
  if (target === undefined) return undefined;
  const triple = TARGETS[target];
  if (triple) return triple;
  throw new Error(`--target takes ${Object.keys(TARGETS).join(" or ")}, not ${target}`);
}

if (import.meta.main) {
  const target = chosenTarget();
  await Deno.mkdir(DIST, { recursive: true });
  await bundle();
  const { size } = await Deno.stat(BUNDLE);
  console.log(`bundled ${BUNDLE} (${Math.round(size / 1024)} KiB)`);
  // deno compile replaces nothing that it did not make.
  await Deno.remove(OUTPUT).catch(() => {});
  const obstacle = await compile(target);
  if (obstacle === undefined) {
    console.log(`compiled ${OUTPUT}`);
  } else if (target !== undefined) {
    // A portable file holds the Deno of this machine, which may be of another architecture.
    throw new Error(`deno compile could not be used: ${obstacle}`);
  } else {
    console.log(`deno compile could not be used: ${obstacle}`);
    console.log("  (it needs its base runtime: let it be fetched, or name one in DENORT_BIN)");
    await makePortable();
    console.log(`made ${OUTPUT} as a portable file that unpacks itself`);
  }
}
