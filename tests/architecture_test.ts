import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;

/** The modules that each module may import, besides itself; all may import proto/gen and npm packages. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  // Waiting, retrying, limiting: of use to every module.
  async: [],
  // X.509: certificates made and read; pure.
  certificates: [],
  // A network's addresses are part of it.
  claim: ["addresses/pools.ts"],
  ttrpc: [],
  files: [],
  elf: [],
  tar: [],
  unix: [],
  yaml: [],
  grpc: ["unix"],
  // Networks as objects of the API, and their addresses.
  networks: [
    "addresses/parse_addresses.ts",
    "addresses/pools.ts",
    "agent/ports.ts",
    "agent/model.ts",
    "claim",
  ],
  addresses: ["agent/ports.ts", "agent/model.ts", "agent/snapshot", "claim"],
  // What one agent of the cluster does for all.
  duties: ["addresses", "agent/ports.ts", "networks/ports.ts"],
  // The use cases know the domain and their own ports.
  agent: ["claim"],
  // Adapters know the ports they implement and the domain, and never one another.
  nri: ["agent/ports.ts", "claim", "ttrpc"],
  dra: ["agent/ports.ts", "agent/model.ts", "claim", "files", "grpc", "unix"],
  cni: ["agent/ports.ts", "agent/model.ts", "claim", "elf", "files", "networks/ports.ts"],
  kube: [
    "agent/ports.ts",
    "agent/model.ts",
    "addresses/address_object.ts",
    "addresses/ports.ts",
    "claim",
    "cluster/follow_objects.ts",
    "cluster/ports.ts",
    "connectivity/test_cluster.ts",
    "connectivity/tested_network.ts",
    "doctor/ports.ts",
    "duties/ports.ts",
    "duties/address_use.ts",
    "duties/network_status.ts",
    "networks/ports.ts",
    "sysdump/ports.ts",
    "webhook/ports.ts",
  ],
  journal: ["addresses/cidr.ts", "agent/ports.ts", "agent/model.ts", "claim", "files"],
  lead: ["agent/ports.ts", "files"],
  requests: ["agent/ports.ts", "files"],
  cdi: ["agent/ports.ts", "agent/model.ts", "claim", "files"],
  netns: ["agent/model.ts", "agent/ports.ts", "elf", "files"],
  observe: ["addresses/ports.ts", "agent/ports.ts", "agent/model.ts", "certificates"],
  inventory: ["agent/ports.ts", "agent/model.ts", "claim", "files"],
  // What an operator sees of an agent, or of what it left on disk.
  status: ["agent/ports.ts", "agent/snapshot", "claim", "files", "unix"],
  // Device selectors, for the simulated scheduler.
  selectors: [],
  // What a user sees of a whole cluster, from its objects.
  cluster: ["agent/reasons.ts", "status/document.ts"],
  // The page that shows it, and what serves it; `page` runs in the browser.
  ui: ["cluster"],
  // One archive of what a bug report needs, from the cluster's objects and its agents.
  sysdump: ["cluster/picture.ts", "cluster/ports.ts", "tar"],
  // A check-up of a cluster: what is gathered, and what is judged of it.
  doctor: ["claim", "cluster", "lint", "manifests", "selectors", "status/document.ts"],
  // What measures a network from inside a pod.
  probe: ["claim"],
  // A test of a network in a cluster: its plan, its course and its verdicts.
  connectivity: [
    "claim",
    "cluster/objects.ts",
    "cluster/parse_objects.ts",
    "probe/protocol.ts",
  ],
  // Files of Kubernetes' objects, as an API server would take them.
  manifests: ["claim", "networks", "selectors", "yaml"],
  lint: ["claim", "manifests", "networks", "selectors"],
  // Admission reviews of claims, judged as agents would.
  webhook: ["certificates", "claim", "lint", "manifests", "networks", "selectors"],
  // From Multus' objects to claims.
  migrate: ["addresses", "claim", "manifests", "networks", "selectors"],
  // The other side of the wire: it speaks the adapters' protocols and knows nothing of the agent.
  simulator: ["claim", "grpc", "manifests", "nri", "selectors", "ttrpc", "unix"],
  cmd: [
    "addresses",
    "agent",
    "cdi",
    "certificates",
    "claim",
    "cluster",
    "cni",
    "connectivity",
    "doctor",
    "dra",
    "duties",
    "files",
    "inventory",
    "journal",
    "kube",
    "lead",
    "lint",
    "manifests",
    "migrate",
    "netns",
    "networks",
    "nri",
    "observe",
    "probe",
    "requests",
    "selectors",
    "simulator",
    "status",
    "sysdump",
    "ui",
    "unix",
    "webhook",
    "yaml",
  ],
};

/** The rooms of mod/agent, from the bottom up: each may import those before it, and its own files. */
const ROOMS = [
  "reasons.ts",
  "model.ts",
  "ports.ts",
  "describe.ts",
  "attachments",
  "admission",
  "status",
  "claims",
  "devices",
  "upkeep",
  "snapshot",
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
    const room = inner.split("/").slice(0, 2).join("/");
    if (top !== "mod" || !allowed.some((each) => [module, room, inner].includes(each))) {
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

Deno.test("OpenTelemetry is known to one file, which is loaded only when traces are on", async () => {
  const file = "mod/observe/otlp.ts";
  for (const { file: from, target } of await imports("mod")) {
    assert.ok(!target.startsWith("@opentelemetry/") || from === file, `${from} imports ${target}`);
  }
  const text = await Deno.readTextFile(join(ROOT, "mod/observe/traces.ts"));
  assert.match(text, /import type \{[^}]*\} from "\.\/otlp\.ts"/);
  assert.match(text, /await import\("\.\/otlp\.ts"\)/);
  const others = (await imports("mod")).filter(({ file: from, target }) =>
    target.endsWith("/otlp.ts") && from !== "mod/observe/traces.ts"
  );
  assert.deepEqual(others, []);
});

Deno.test("CEL is known to mod/selectors alone", async () => {
  for (const { file, target } of await imports("mod")) {
    const isCel = target === "@marcbachmann/cel-js";
    assert.ok(!isCel || file.startsWith("mod/selectors/"), `${file} imports it`);
  }
});

Deno.test("the map's page runs in the browser: nothing else imports it, and it alone draws", async () => {
  for (const { file, target } of await imports("mod")) {
    const isPage = file.startsWith("mod/ui/page/");
    assert.ok(target !== "cytoscape" || isPage, `${file} imports ${target}`);
    const path = relative(ROOT, join(ROOT, dirname(file), target));
    assert.ok(!path.startsWith("mod/ui/page/") || isPage, `${file} imports ${target}`);
  }
  const script = await Deno.readTextFile(join(ROOT, "mod/ui/page/main.ts"));
  assert.match(script, /from "\.\/map_view\.ts"/);
});

Deno.test("the browser's types are known to the map's page alone", async () => {
  const page = JSON.parse(await Deno.readTextFile(join(ROOT, "mod/ui/page/deno.json")));
  assert.ok(page.compilerOptions.lib.includes("dom"));
  const leaks: string[] = [];
  for (const folder of ["mod", "deploy", "tests"]) {
    for await (const path of sources(join(ROOT, folder))) {
      // It would hold for every file that is checked with this one.
      const text = await Deno.readTextFile(path);
      if (/^\/\/\/ *<reference/m.test(text)) leaks.push(relative(ROOT, path));
    }
  }
  assert.deepEqual(leaks, []);
});

Deno.test("the agent never loads what only try, lint and ui need", async () => {
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
    /^mod\/(selectors|manifests|lint|simulator|ui)\//.test(file)
  );
  assert.deepEqual(others, []);
  assert.ok(loaded.size > 50);
});

/** Parts of what runs on a node, which is Linux. */
const OF_NODES =
  /^mod\/(cdi|cni|dra|elf|grpc|inventory|journal|lead|netns|nri|probe(?!\/protocol)|requests|simulator|ttrpc|unix)\//;
/** What a system may not have: libraries, users, files of Linux. */
const LINUX_ONLY = /Deno\.(dlopen|uid|gid|chown)\b|Deno\.\w+\(["'`]\/(proc|sys|dev)\b/;

Deno.test("the commands for a cluster load nothing that only Linux has", async () => {
  const commands = ["cluster_status", "cluster_lists", "explain", "sysdump", "connectivity"];
  const loaded = new Set(["command_line", ...commands].map((name) => `mod/cmd/${name}.ts`));
  for (const file of loaded) {
    const text = (await Deno.readTextFile(join(ROOT, file))).replaceAll(/^ *\*.*$/gm, "");
    assert.ok(!LINUX_ONLY.test(text), `${file} uses what only Linux has`);
    // Types are gone when it runs, and what is imported later belongs to other commands.
    const statically = /^(?:import|export)(?! type)\b[^;]*?\bfrom\s+"(\.[^"]+)"/gm;
    for (const [, target = ""] of text.matchAll(statically)) {
      loaded.add(relative(ROOT, join(ROOT, dirname(file), target)));
    }
  }
  assert.deepEqual([...loaded].filter((file) => OF_NODES.test(file)), []);
  assert.ok(loaded.size > 60, `${loaded.size}`);
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
  "mod/simulator/output_within.ts",
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
