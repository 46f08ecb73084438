import config from "../../deno.json" with { type: "json" };

/** What `try` needs beyond the agent: where its cache is, that it is inside, that it is root. */
const TRY_ENV = ["HOME", "XDG_CACHE_HOME", "NETWORK_DRA_CACHE", "NETWORK_DRA_PRIVATE_NODE"];
const TRY_SYS = ["uid"];

/** The flags of `deno task run`, where they are spelled out, with what `try` needs besides. */
export function flags(): string[] {
  const words = config.tasks.run.split(" ");
  return words.slice(words.indexOf("run") + 1, words.indexOf("main.ts")).map((flag) => {
    if (flag.startsWith("--allow-env=")) return [flag, ...TRY_ENV].join(",");
    if (flag.startsWith("--allow-sys=")) return [flag, ...TRY_SYS].join(",");
    return flag;
  });
}

/**
 * The flags of the executable. It keeps no compiled code: it would do so in $TMPDIR, by a name that
 * anybody can take first, and root would load what lies there.
 */
export function compileFlags(): string[] {
  return [...flags(), "--no-code-cache"];
}

/** The arguments by which Deno runs the bundle with these flags and with nothing from around it. */
export function runArguments(bundle: string): string[] {
  return ["run", "--no-config", "--no-lock", "--cached-only", ...flags(), bundle];
}
