import assert from "node:assert/strict";
import { signalsOf } from "./signals.ts";
import { userHome } from "./user_home.ts";

Deno.test("userHome() finds the user's folder on every system", () => {
  const home = (env: Record<string, string>) => userHome((name) => env[name]);
  assert.equal(home({ HOME: "/home/u" }), "/home/u");
  assert.equal(home({ USERPROFILE: "C:\\Users\\u" }), "C:\\Users\\u");
  assert.equal(home({ HOME: "", HOMEDRIVE: "C:", HOMEPATH: "\\Users\\u" }), "C:\\Users\\u");
  assert.equal(home({ HOMEDRIVE: "C:" }), undefined);
  assert.equal(home({}), undefined);
});

Deno.test("signalsOf() names only signals that the system has", () => {
  assert.ok(!signalsOf("windows").includes("SIGTERM"));
  assert.deepEqual(signalsOf("linux"), signalsOf("darwin"));
});

/** Modules that use what only Linux has, or a node's sockets and folders. */
const OF_NODES =
  /\/mod\/(cdi|cni|dra|elf|files|grpc|inventory|journal|lead|netns|nri|requests|simulator|ttrpc|unix)\//;

interface ModuleGraph {
  readonly roots: readonly string[];
  readonly redirects: Readonly<Record<string, string>>;
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly code?: { readonly specifier: string };
      readonly isDynamic?: boolean;
    }[];
  }[];
}

/** The files that are loaded with one, without those that are imported when they are needed. */
async function loadedWith(file: string): Promise<string[]> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", new URL(file, import.meta.url).pathname],
    stderr: "null",
  }).output();
  assert.ok(success);
  const graph: ModuleGraph = JSON.parse(new TextDecoder().decode(stdout));
  const modules = new Map(graph.modules.map((each) => [each.specifier, each]));
  const loaded = new Set<string>();
  const left = [...graph.roots];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (loaded.has(next)) continue;
    loaded.add(next);
    for (const { code, isDynamic } of modules.get(next)?.dependencies ?? []) {
      if (!code || isDynamic) continue;
      left.push(graph.redirects[code.specifier] ?? code.specifier);
    }
  }
  return [...loaded];
}

Deno.test("the commands for a cluster load nothing that only a node has", async (t) => {
  const commands = ["cluster_status", "cluster_lists", "explain", "doctor", "connectivity"];
  for (const name of ["command_line", ...commands, "sysdump", "ui"]) {
    await t.step(name, async () => {
      const loaded = await loadedWith(`${name}.ts`);
      assert.ok(loaded.length > 5, `${loaded}`);
      assert.deepEqual(loaded.filter((file) => OF_NODES.test(file)), []);
    });
  }
  await t.step("and the agent does", async () => {
    assert.ok((await loadedWith("agent_process.ts")).some((file) => OF_NODES.test(file)));
  });
});
