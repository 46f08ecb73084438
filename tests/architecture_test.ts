import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;

/** The modules each may import besides itself; proto/gen and npm packages are open to all. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  // Waiting, retrying, limiting: of use to every module.
  async: [],
  claim: [],
  ttrpc: [],
  files: [],
  elf: [],
  unix: [],
  grpc: ["unix"],
  // The use cases know the domain and their own ports.
  agent: ["claim"],
  // Adapters know the ports they implement and the domain, and never one another.
  nri: ["agent/ports.ts", "claim", "ttrpc"],
  dra: ["agent/ports.ts", "agent/model.ts", "claim", "files", "grpc"],
  cni: ["agent/ports.ts", "agent/model.ts", "claim", "elf", "files"],
  kube: ["agent/ports.ts", "agent/model.ts", "claim"],
  journal: ["agent/ports.ts", "agent/model.ts", "claim", "files"],
  lead: ["agent/ports.ts", "files"],
  requests: ["agent/ports.ts", "files"],
  cdi: ["agent/ports.ts", "agent/model.ts", "claim", "files"],
  netns: ["agent/ports.ts", "elf", "files"],
  observe: ["agent/ports.ts", "agent/model.ts"],
  inventory: ["agent/ports.ts", "agent/model.ts", "claim", "files"],
  // Device selectors, for what stands in for a scheduler.
  selectors: [],
  // Files of Kubernetes' objects, as an API server would take them.
  manifests: ["claim", "selectors"],
  lint: ["claim", "manifests", "selectors"],
  // The other side of the wire: it speaks the adapters' protocols and knows nothing of the agent.
  simulator: ["claim", "grpc", "manifests", "nri", "selectors", "ttrpc", "unix"],
  cmd: [
    "agent",
    "cdi",
    "claim",
    "cni",
    "dra",
    "files",
    "inventory",
    "journal",
    "kube",
    "lead",
    "lint",
    "manifests",
    "netns",
    "nri",
    "observe",
    "requests",
    "selectors",
    "simulator",
    "unix",
  ],
};

/** The rooms of mod/agent, from the bottom up: each may import those before it, and its own files. */
const ROOMS = [
  "model.ts",
  "ports.ts",
  "describe.ts",
  "attachments",
  "admission",
  "status",
  "claims",
  "devices",
  "upkeep",
  "agent.ts",
  "handover",
] as const;

interface Import {
  readonly file: string;
  readonly target: string;
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* sources(path);
    else if (name.endsWith(".ts")) yield path;
  }
}

async function imports(folder: string): Promise<Import[]> {
  const found: Import[] = [];
  for await (const path of sources(join(ROOT, folder))) {
    // Examples in docstrings import what they show.
    const text = (await Deno.readTextFile(path)).replaceAll(/^ *\*.*$/gm, "");
    for (const [, target = ""] of text.matchAll(/(?:\bfrom|\bimport\(?)\s*"([^"]+)"/g)) {
      found.push({ file: relative(ROOT, path), target });
    }
  }
  return found;
}

Deno.test("modules import only what the architecture lets them", async () => {
  const wrong: string[] = [];
  for (const { file, target } of await imports("mod")) {
    if (file.endsWith("_test.ts") || !target.startsWith(".")) continue;
    const path = relative(ROOT, join(ROOT, dirname(file), target));
    const [top, module] = path.split("/");
    const own = file.split("/")[1]!;
    if (path.startsWith("proto/gen/") || path === "deno.json" && own === "cmd") continue;
    const inner = path.split("/").slice(1).join("/");
    const allowed = [own, "async", ...MAY_IMPORT[own] ?? []];
    if (top !== "mod" || !allowed.some((each) => each === module || each === inner)) {
      wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("the rooms of mod/agent import only those below them", async () => {
  const wrong: string[] = [];
  for (const { file, target } of await imports("mod/agent")) {
    if (file.endsWith("_test.ts") || !target.startsWith(".")) continue;
    const path = relative(ROOT, join(ROOT, dirname(file), target));
    if (!path.startsWith("mod/agent/")) continue;
    const [from, to] = [file, path].map((each) =>
      ROOMS.findIndex((room) => each.split("/")[2] === room)
    );
    assert.ok(from! >= 0 && to! >= 0, `${file} or ${target} is in no room`);
    if (to! > from!) wrong.push(`${file} imports ${target}`);
  }
  assert.deepEqual(wrong, []);
});

/** The files of a circle of imports, the first one again at its end; undefined where there is none. */
function circle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const search = (file: string, trail: readonly string[]): string[] | undefined => {
    const at = trail.indexOf(file);
    if (at >= 0) return [...trail.slice(at), file];
    if (done.has(file)) return undefined;
    for (const next of graph.get(file) ?? []) {
      const found = search(next, [...trail, file]);
      if (found) return found;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const found = search(file, []);
    if (found) return found;
  }
  return undefined;
}

Deno.test("no files import one another in a circle, not even types", async () => {
  const graph = new Map<string, string[]>();
  for (const { file, target } of await imports("mod")) {
    if (!target.startsWith(".")) continue;
    graph.set(file, [...graph.get(file) ?? [], join(dirname(file), target)]);
  }
  assert.deepEqual(circle(new Map([["a", ["b"]], ["b", ["c"]], ["c", ["b"]]])), ["b", "c", "b"]);
  assert.ok(graph.size > 100);
  assert.equal(circle(graph)?.join(" imports "), undefined);
});

Deno.test("every module has its place in the architecture", async () => {
  const modules = (await Array.fromAsync(Deno.readDir(join(ROOT, "mod")))).map(({ name }) => name);
  assert.deepEqual(modules.toSorted(), Object.keys(MAY_IMPORT).toSorted());
});

Deno.test("main.ts imports commands, and how errors are told", async () => {
  const text = await Deno.readTextFile(join(ROOT, "main.ts"));
  for (const [, target = ""] of text.matchAll(/"(\.[^"]+\.ts)"/g)) {
    const isHelper = target === "./mod/async/error_message.ts";
    assert.ok(isHelper || target.startsWith("./mod/cmd/"), `main.ts imports ${target}`);
  }
});

Deno.test("only main.ts ends the process", async () => {
  for await (const path of sources(join(ROOT, "mod"))) {
    const text = await Deno.readTextFile(path);
    assert.ok(!/\b(Deno|process)\.exit\(/.test(text), `${relative(ROOT, path)} exits`);
  }
});

async function allImports(): Promise<Import[]> {
  return (await Promise.all(["mod", "deploy", "tests"].map(imports))).flat();
}

Deno.test("no import is bound to a machine, and packages are named in deno.json alone", async () => {
  for (const { file, target } of await allImports()) {
    assert.ok(!/^(\/|file:|https?:|npm:|jsr:)/.test(target), `${file} imports ${target}`);
  }
});

Deno.test("only mod/observe knows how metrics are kept", async () => {
  for (const { file, target } of await imports("mod")) {
    assert.ok(target !== "prom-client" || file.startsWith("mod/observe/"), `${file} imports it`);
  }
});

Deno.test("CEL is known to mod/selectors alone", async () => {
  for (const { file, target } of await imports("mod")) {
    const isCel = target === "@marcbachmann/cel-js";
    assert.ok(!isCel || file.startsWith("mod/selectors/"), `${file} imports it`);
  }
});

Deno.test("the agent never loads what only try and lint need", async () => {
  const all = await imports("mod");
  const loaded = new Set(["mod/cmd/run.ts", "mod/cmd/agent_worker.ts"]);
  // A set grows while it is walked.
  for (const file of loaded) {
    for (const { target } of all.filter((each) => each.file === file)) {
      if (target.startsWith(".")) loaded.add(relative(ROOT, join(ROOT, dirname(file), target)));
      assert.notEqual(target, "@marcbachmann/cel-js", file);
    }
  }
  const others = [...loaded].filter((file) =>
    /^mod\/(selectors|manifests|lint|simulator)\//.test(file)
  );
  assert.deepEqual(others, []);
  assert.ok(loaded.size > 50);
});

Deno.test("nothing uses node:net, which closes the descriptors of unix sockets twice", async () => {
  for (const { file, target } of await allImports()) {
    assert.notEqual(target, "node:net", `${file} imports ${target}: use mod/unix`);
  }
});

/** Who runs programs, and which: CNI plugins, grep, the lister of interfaces; the simulated node its namespaces. */
const RUNS_PROGRAMS = [
  "mod/cni/program.ts",
  "mod/inventory/sysfs.ts",
  "mod/netns/interface_lister.ts",
  "mod/simulator/debian_package.ts",
  "mod/simulator/private_node.ts",
];

Deno.test("programs are run in few places, and no shell anywhere", async () => {
  const running: string[] = [];
  const files = [join(ROOT, "main.ts"), ...await Array.fromAsync(sources(join(ROOT, "mod")))];
  for (const path of files) {
    const file = relative(ROOT, path);
    if (file.endsWith("_test.ts")) continue;
    const text = await Deno.readTextFile(path);
    if (/\bDeno\.(Command|run|spawn)\b/.test(text)) running.push(file);
    assert.ok(
      !/child_process|["'`/](ba|da|z|k|a)?sh["'`\s]|["']-c["']/.test(text),
      `${file}: a shell`,
    );
    assert.ok(!/\beval\(|new Function\(|Deno\.dlopen/.test(text), `${file}: code from text`);
  }
  assert.deepEqual(running.sort(), RUNS_PROGRAMS);
});
