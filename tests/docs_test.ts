/** What the documentation names is there: pages, headings, files, tasks, commands, flags, values. */
import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import config from "../deno.json" with { type: "json" };
import { master } from "../mod/claim/policy_checks.ts";
import { parsePolicy } from "../mod/claim/policy_config.ts";
import { lint } from "../mod/lint/lint.ts";
import { parseRunConfig } from "../mod/cmd/run_config.ts";
import { parseNodeFile } from "../mod/cmd/node_file.ts";
import {
  anchors,
  blocks,
  codeSpans,
  type Document,
  documents,
  links,
} from "./support/documents.ts";
import { placeOf, sidebar } from "../docs/site/.vitepress/places.ts";
import { asPlugin } from "../mod/cmd/command_line.ts";
import { claimWith } from "./support/page_blocks.ts";
import { flagsOfCommands } from "./support/command_line.ts";
import { holdsObjects, isPart, useOf, type YamlUse } from "./support/yaml_blocks.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const ALL = await documents();
/** What was true of earlier versions. */
const CURRENT = ALL.filter(({ path }) => path !== "CHANGELOG.md");
const BY_PATH = new Map(ALL.map((document) => [document.path, document]));

Deno.test("links lead to files and headings that are there", async () => {
  assert.ok(ALL.length > 30);
  const wrong: string[] = [];
  for (const document of ALL) {
    for (const target of links(document)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = "", anchor] = target.split("#");
      const path = file === "" ? document.path : normalize(join(dirname(document.path), file));
      const page = BY_PATH.get(path);
      const found = page !== undefined || await exists(join(ROOT, path));
      if (!found) wrong.push(`${document.path}: ${target}: there is no ${path}`);
      else if (anchor !== undefined && page && !anchors(page).has(anchor)) {
        wrong.push(`${document.path}: ${target}: ${path} has no heading #${anchor}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("the site's sidebar has every page of docs, or the page above it", () => {
  const listed = sidebar(ROOT).flatMap(({ items }) => items);
  assert.ok(listed.every(({ text }) => text !== ""));
  const links = listed.map(({ link }) => link);
  const pages = ALL.map(({ path }) => path).filter((path) =>
    path.startsWith("docs/") && path !== "docs/index.md"
  );
  const missing = pages.filter((path) =>
    !links.includes(`/${placeOf(path)}`) && !links.includes(`/${dirname(placeOf(path)!)}/index.md`)
  );
  assert.deepEqual(missing, []);
});

Deno.test("every page of docs is reached from another page", () => {
  const reached = new Set(
    ALL.flatMap((document) =>
      links(document).map((target) =>
        normalize(join(dirname(document.path), target.split("#")[0]!))
      )
    ),
  );
  const pages = ALL.map(({ path }) => path).filter((path) =>
    path.startsWith("docs/") && path !== "docs/index.md"
  );
  assert.deepEqual(pages.filter((path) => !reached.has(path)), []);
});

/** Every line of code in a document. */
function code(document: Document): string[] {
  const shown = blocks(document).flatMap(({ text }) =>
    text.replaceAll(/\\\n\s*/g, " ").split("\n")
  );
  return [...shown, ...codeSpans(document)];
}

/** As a command line, and as a code span that begins with it. */
const TASK = /(?:^|\bdeno(?:@[\d.]+)? )task (?:--quiet |-q )?([a-z][a-z:0-9-]*)/g;

Deno.test("tasks that are named are in deno.json", () => {
  const wrong: string[] = [];
  for (const document of CURRENT) {
    for (const line of code(document)) {
      for (const [, name] of line.matchAll(TASK)) {
        if (!(name! in config.tasks)) wrong.push(`${document.path}: deno task ${name}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("commands and flags of network-dra that are named are there", () => {
  const flags = flagsOfCommands();
  assert.ok(flags.get("run")!.has("--state-dir") && !flags.get("lint")!.has("--state-dir"));
  const wrong: string[] = [];
  let seen = 0;
  for (const document of CURRENT) {
    for (const line of code(document)) {
      for (const { command, given } of calls(line, [...flags.keys()])) {
        const known = flags.get(command);
        if (!known) wrong.push(`${document.path}: network-dra ${command}`);
        const others = given.filter((flag) => known && !known.has(flag));
        wrong.push(...others.map((flag) => `${document.path}: network-dra ${command} ${flag}`));
        seen++;
      }
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(seen > 20);
});

/** Calls of the program in a line: by its name, and by the task of a command's name. */
function calls(line: string, commands: readonly string[]) {
  const task = `task (?:--quiet |-q )?(?=(?:${commands.join("|")})\\b)`;
  const found = line.matchAll(
    new RegExp(`(?:(?:^|[\\s/])network-dra |${task})([a-z][a-z-]*)(?=\\s|$)([^|;&#]*)`, "g"),
  );
  return [...found].map(({ 1: command = "", 2: rest, index }) => ({
    command: line.slice(0, index).endsWith("kubectl") ? asPlugin([command])[0]! : command,
    given: [...rest!.matchAll(/\s(--?[a-z][a-z-]*)/g)].map(([, flag]) => flag!),
  }));
}

Deno.test("calls() finds commands and flags", () => {
  assert.deepEqual(calls("$ dist/network-dra run --repair | tail -n 2", ["run", "try"]), [
    { command: "run", given: ["--repair"] },
  ]);
  assert.deepEqual(calls("npx -y deno@2.9.3 task try FILE -o json", ["run", "try"]), [
    { command: "try", given: ["-o"] },
  ]);
  assert.deepEqual(calls("helm install network-dra deploy/helm/network-dra", ["run"]), []);
  assert.deepEqual(calls("kubectl network-dra status --wait", ["run"]), [
    { command: "cluster-status", given: ["--wait"] },
  ]);
});

Deno.test("values of the chart that are named are there", async () => {
  const values = parse(await Deno.readTextFile(join(ROOT, "deploy/helm/network-dra/values.yaml")));
  const wrong: string[] = [];
  for (const document of CURRENT) {
    for (const line of code(document)) {
      for (const [, path] of line.matchAll(/--set(?:-string)? ([A-Za-z.]+)=/g)) {
        if (!hasValue(values, path!.split("."))) wrong.push(`${document.path}: --set ${path}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

function hasValue(
  values: Record<string, unknown>,
  [first = "", ...rest]: readonly string[],
): boolean {
  // What stands below `config` is the agent's.
  if (!(first in values)) return false;
  const inner = values[first];
  if (first === "config" || rest.length === 0) return true;
  return typeof inner === "object" && inner !== null &&
    hasValue(inner as Record<string, unknown>, rest);
}

Deno.test("files of the project that are named are there", async () => {
  const wrong: string[] = [];
  const folders = "deploy|docs|examples|mod|tests|proto";
  for (const document of CURRENT) {
    for (const line of code(document)) {
      const named = line.matchAll(
        new RegExp(String.raw`(?:^|[\s=(])((?:${folders})/[\w./-]*\w)(?=$|[\s,;:)])`, "g"),
      );
      for (const [, path] of named) {
        if (!await exists(join(ROOT, path!))) wrong.push(`${document.path}: ${path}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("every YAML block says what it is, and is that", async () => {
  const schema = JSON.parse(
    await Deno.readTextFile(join(ROOT, "deploy/helm/network-dra/values.schema.json")),
  );
  const wrong: string[] = [];
  const uses = new Map<YamlUse, number>();
  for (const block of CURRENT.flatMap(blocks)) {
    if (block.language !== "yaml") continue;
    const at = `${block.path}:${block.line}`;
    const problems = parseAllDocuments(block.text).flatMap((each) =>
      "errors" in each ? each.errors : []
    );
    if (problems.length > 0) {
      wrong.push(`${at}: ${problems[0]!.message}`);
      continue;
    }
    const use = useOf(block.text, Object.keys(schema.properties));
    uses.set(use, (uses.get(use) ?? 0) + 1);
    const problem = problemOf(use, block.text, at);
    if (problem !== undefined) wrong.push(problem);
  }
  assert.deepEqual(wrong, []);
  assert.ok(
    uses.get("objects")! > 2 && uses.get("parameters")! > 0 && uses.get("configuration")! > 1 &&
      uses.get("part")! > 0,
  );
});

function problemOf(use: YamlUse, text: string, at: string): string | undefined {
  try {
    switch (use) {
      case "part":
      case "status":
      case "values":
        return undefined;
      case "parameters":
        return problemOf("objects", claimWith(text), at);
      case "objects": {
        const [first] = lint([{ file: at, text }]).filter(({ level }) => level === "error");
        return first && `${at}: ${first.message}`;
      }
      case "configuration":
        parseRunConfig(["--config", at], {
          env: () => undefined,
          readFile: () => text,
          hostname: () => "node-1",
          cores: 2,
        });
        return undefined;
      case "node":
        parseNodeFile(text, at);
        return undefined;
      case "unknown":
        return `${at}: say what the block is: begin it with "# part of …"`;
    }
  } catch (error) {
    return `${at}: ${(error as Error).message}`;
  }
}

Deno.test("useOf() tells blocks apart", () => {
  const values = ["driverName", "config"];
  const cases: [string, YamlUse][] = [
    ["# part of a pod\nspec: {}\n", "part"],
    ["apiVersion: v1\nkind: Pod\n", "objects"],
    ["# a pod\napiVersion: v1\nkind: Pod\n", "objects"],
    ["apiVersion: dra.networking/v1alpha1\nkind: Network\n", "parameters"],
    ["devices:\n  - driver: d\n", "status"],
    ["policy: { inline: false }\n", "configuration"],
    ["# yaml-language-server: $schema=x\n", "configuration"],
    ["config: { policy: {} }\n", "values"],
    ["nodes: [{ name: node-1 }]\n", "node"],
    ["ipam: { type: dhcp }\n", "unknown"],
  ];
  for (const [text, use] of cases) assert.equal(useOf(text, values), use, text);
  assert.ok(isPart("# part of a pod\n") && !isPart("apiVersion: v1\n"));
  assert.ok(holdsObjects("apiVersion: v1\nkind: Pod\n"));
});

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("the README is short, and its claim is the first example", async () => {
  const readme = BY_PATH.get("README.md")!;
  assert.ok(readme.text.split("\n").length <= 250);
  const [block] = blocks(readme).filter(({ language }) => language === "yaml");
  const example = await Deno.readTextFile(join(ROOT, "examples/first-claim/first-claim.yaml"));
  assert.equal(block!.text, example.replace(/^#.*\n/, ""));
});

Deno.test("the pages on policies quote what lint says", () => {
  const tutorial = "docs/tutorials/try-without-a-cluster.md";
  const policies = "docs/how-to/tenant-policies.md";
  const claim =
    blocks(BY_PATH.get(tutorial)!).find(({ language, text }) =>
      language === "yaml" && holdsObjects(text)
    )!.text;
  const cases: { page: string; changes?: [string, string][]; policy?: unknown }[] = [
    { page: tutorial, changes: [["master", "mater"]] },
    { page: policies, changes: [["master", "mater"]] },
    { page: policies, changes: [["type: macvlan", "type: portmap"]] },
    {
      page: policies,
      changes: [["type: macvlan", "type: bridge"], ["master: eth0", "isGateway: true"]],
    },
    { page: policies, changes: [["type: host-local", "type: whereabouts"]] },
    { page: policies, changes: [["master: eth0", "mac: 00:1b:21:3c:4d:5e"]] },
    { page: policies, policy: { inline: false } },
    { page: policies, policy: { plugins: { macvlan: { master: ["eth1", "bond*"] } } } },
    {
      page: policies,
      changes: [["type: macvlan", "type: vlan\n              vlanId: 8"]],
      policy: { plugins: { vlan: { vlanId: [7, { from: 100, to: 199 }] } } },
    },
    {
      page: policies,
      changes: [["type: macvlan", "type: ipvlan"]],
      policy: { plugins: { "*": false, macvlan: {} } },
    },
    {
      page: policies,
      changes: [["10.10.1.0/24", "10.244.3.0/24"]],
      policy: { refusedAddresses: ["10.244.0.0/16"] },
    },
  ];
  for (const { page, changes = [], policy = {} } of cases) {
    const text = changes.reduce((text, [from, to]) => {
      assert.ok(text.includes(from), from);
      return text.replace(from, to);
    }, claim);
    const [problem] = lint([{ file: "lan.yaml", text }], { policy: parsePolicy(policy) });
    const [, said] = problem!.message.match(/refused by policy: (.*) \(an administrator can /)!;
    const { text: shown } = BY_PATH.get(page)!;
    assert.ok(shown.includes(said!), `${page} does not say: ${said}`);
  }
  // The node decides about this one.
  const node = { offers: () => false, taken: () => false, needs: () => undefined, addresses: [] };
  const around = { node, device: "cni", plugin: { type: "macvlan" }, refusedAddresses: [] };
  for (const page of [policies, "docs/how-to/choose-an-interface.md"]) {
    assert.throws(
      () => master("eth9", "", around),
      ({ message }: Error) => BY_PATH.get(page)!.text.includes(message),
      page,
    );
  }
});
