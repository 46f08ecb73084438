/** `network-dra migrate` as a user runs it: what comes of it passes `lint`, and attaches in `try`. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { parse, parseAllDocuments, stringify } from "yaml";
import { migrate } from "../../mod/migrate/migrate.ts";
import { kustomization, stream } from "../../mod/migrate/written.ts";
import { cli } from "../support/cli.ts";
import { outcome } from "../support/command_outcome.ts";
import { blocks } from "../support/documents.ts";
import { fetchKubectl } from "../support/kubectl.ts";
import { installNft } from "../support/nft.ts";
import { filled } from "../support/strategic_merge.ts";
import { definition, pod, type Shape, SHAPES } from "../support/multus_shapes.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes files into a folder, and gives the paths of those with these names. */
async function write(
  folder: string,
  files: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const paths: Record<string, string> = {};
  for (const [name, text] of Object.entries(files)) {
    paths[name] = join(folder, name);
    await Deno.writeTextFile(paths[name], text);
  }
  return paths;
}

/** The comments with `DECIDE:`; classes of one network may have the same. */
function decisionsIn(yaml: string): string[] {
  const comments = [...yaml.matchAll(/^# DECIDE: (.*(?:\n# (?!DECIDE: ).*)*)/gm)];
  return [...new Set(comments.map(([, text]) => text!.replaceAll("\n# ", " ")))];
}

for (const { name, yaml, selectors = "", decide = [] } of SHAPES) {
  Deno.test(`migrate: ${name}`, () =>
    inFolder(async (folder) => {
      const given = await write(folder, { "multus.yaml": yaml, "selectors.yaml": selectors });
      const flags = selectors === "" ? [] : ["--selectors", given["selectors.yaml"]!];
      const moved = await outcome("migrate", given["multus.yaml"]!, ...flags);
      assert.equal(moved.code, decide.length > 0 ? 3 : 0, moved.stderr);
      for (const pattern of decide) assert.match(moved.stderr, pattern);
      const { length } = decide;
      assert.ok(moved.stderr.includes(`; 0 to leave, ${length} to decide\n`), moved.stderr);
      const comments = decisionsIn(moved.stdout);
      assert.equal(comments.length, length, moved.stdout);
      for (const each of comments) assert.ok(moved.stderr.includes(each), each);
      const written = await write(folder, { "claims.yaml": moved.stdout });
      const checked = await outcome("lint", written["claims.yaml"]!);
      assert.equal(checked.stdout, "1 file: 0 errors, 0 warnings\n");
    }));
}

/** What `try` prints of a claim. */
interface Claim {
  readonly metadata: { readonly ownerReferences: readonly [{ readonly name: string }] };
  readonly status: {
    readonly devices: readonly {
      readonly networkData: { readonly interfaceName: string; readonly ips?: readonly string[] };
    }[];
  };
}

/** The interfaces with their addresses, by the pods' names. */
function interfacesOf(claims: readonly Claim[]): Map<string, string[]> {
  return new Map(claims.map(({ metadata, status }) => [
    metadata.ownerReferences[0].name,
    status.devices.map(({ networkData: { interfaceName, ips = [] } }) =>
      [interfaceName, ...ips].join(" ")
    ),
  ]));
}

/** The names of a shape's pods, as `try` names those of workloads. */
function podsOf({ yaml, interfaces = [] }: Shape): string[] {
  const objects = parseAllDocuments(yaml).map((each) => each.toJS()).filter((each) =>
    each !== null
  );
  const { kind, metadata } = objects.find((each) =>
    !["NetworkAttachmentDefinition", "IPPool"].includes(each.kind)
  );
  return kind === "Pod" ? [metadata.name] : interfaces.map((_, i) => `${metadata.name}-${i}`);
}

// One node for all: a node for each takes most of the time.
Deno.test("migrate: pods have the interfaces and addresses as with Multus", (t) =>
  inFolder(async (folder) => {
    await using _nft = await installNft();
    const shapes = SHAPES.filter(({ interfaces }) => interfaces !== undefined);
    const interfaces = ["eth0", ...shapes.flatMap(({ nodeInterfaces = [] }) => nodeInterfaces)];
    const given = await write(folder, {
      "multus.yaml": shapes.map(({ yaml }) => yaml).join(""),
      "selectors.yaml": shapes.map(({ selectors = "" }) => selectors).join(""),
      "node.yaml": stringify({ nodes: [{ interfaces: interfaces.map((name) => ({ name })) }] }),
    });
    const networks = join(folder, "networks");
    await Deno.mkdir(networks);
    for (const { networks: files = {} } of shapes) await write(networks, files);
    const moved = await cli([
      "migrate",
      given["multus.yaml"]!,
      "--selectors",
      given["selectors.yaml"]!,
    ]);
    assert.equal(moved.code, 3, moved.stderr);
    const written = await write(folder, { "claims.yaml": moved.stdout });
    const tried = await cli([
      ...["try", written["claims.yaml"]!, "--network-dir", networks],
      ...["--node", given["node.yaml"]!],
    ]);
    assert.equal(tried.code, 0, tried.stderr);
    assert.match(tried.stderr, /nothing is left/);
    const found = interfacesOf(parse(tried.stdout).items);
    for (const shape of shapes) {
      await t.step(shape.name, () => {
        for (const [i, pod] of podsOf(shape).entries()) {
          assert.ok(found.has(pod), `no claim of pod ${pod}`);
          assertInterfaces(found.get(pod)!, shape.interfaces![i]!);
          found.delete(pod);
        }
      });
    }
    assert.deepEqual([...found.keys()], []);
  }));

function assertInterfaces(found: readonly string[], wanted: readonly (string | RegExp)[]): void {
  assert.equal(found.length, wanted.length, found.join());
  for (const [i, each] of wanted.entries()) {
    if (typeof each === "string") assert.equal(found[i], each);
    else assert.match(found[i]!, each);
  }
}

Deno.test("migrate --output writes a kustomization that makes what the stream has", () =>
  inFolder(async (folder) => {
    const kubectl = await fetchKubectl();
    for (const [i, { name, yaml, selectors }] of SHAPES.entries()) {
      const migration = migrate([{ file: "multus.yaml", text: yaml }], {
        driver: "dra.networking",
        selectors: new Map(Object.entries(selectors === undefined ? {} : parse(selectors))),
      });
      const output = join(folder, `${i}`);
      for (const [path, text] of kustomization(migration)) {
        await Deno.mkdir(dirname(join(output, path)), { recursive: true });
        await Deno.writeTextFile(join(output, path), text);
      }
      const rendered = await new Deno.Command(kubectl, { args: ["kustomize", output] }).output();
      assert.ok(rendered.success, new TextDecoder().decode(rendered.stderr));
      const text = new TextDecoder().decode(rendered.stdout);
      assert.deepEqual(byName(text), byName(stream(migration)), name);
    }
  }));

/** Objects by kind and name, without the maps that a patch has emptied. */
function byName(yaml: string): Record<string, unknown> {
  const entries = (parseAllDocuments(yaml) as { toJS(): unknown }[]).map((each) => {
    // deno-lint-ignore no-explicit-any -- whatever was printed
    const object = each.toJS() as any;
    return [`${object.kind} ${object.metadata.namespace}/${object.metadata.name}`, filled(object)];
  });
  return Object.fromEntries(entries);
}

Deno.test("the how-to shows what migrate prints and writes", () =>
  inFolder(async (folder) => {
    const text = await Deno.readTextFile(
      new URL("../../docs/how-to/from-multus.md", import.meta.url),
    );
    const shown = blocks({ path: "docs/how-to/from-multus.md", text }).map((each) => each.text);
    const at = shown.findIndex((each) => each.startsWith("# part of the files for Multus\n"));
    const [given = "", transcript = "", patch = ""] = shown.slice(at);
    await Deno.writeTextFile(join(folder, "multus.yaml"), given);
    const [command = "", ...lines] = transcript.trimEnd().split("\n");
    const words = command.split(" task ")[1]!.split(" ").map((word) =>
      /^(migrated|multus\.yaml)$/.test(word) ? join(folder, word) : word
    );
    const { code, stdout } = await cli(words);
    assert.equal(code, 3);
    assert.deepEqual(stdout.trimEnd().replaceAll(`${folder}/`, "").split("\n"), lines);
    const written = await Deno.readTextFile(join(folder, "migrated/patches/deployment-web.yaml"));
    assert.equal(patch.replace(/^# part of .*\n/, ""), written);
  }));

Deno.test("migrate --output writes the files and prints the report, as JSON too", () =>
  inFolder(async (folder) => {
    const file = join(folder, "multus.yaml");
    await Deno.writeTextFile(file, definition("lan", { type: "macvlan" }) + pod("p", "lan"));
    const output = join(folder, "new", "er");
    const { code, stdout } = await cli(["migrate", file, "--output", output, "-o", "json"]);
    assert.equal(code, 3);
    const { networks, workloads, findings } = JSON.parse(stdout);
    assert.deepEqual(networks, [
      { file, line: 1, network: "default/lan", deviceClass: "default.lan" },
    ]);
    assert.deepEqual(workloads, [{
      file,
      line: 3,
      object: "Pod p",
      namespace: "default",
      moved: {
        resourceClaimTemplate: "p-networks",
        interfaces: [{ interface: "net1", network: "default/lan", deviceClass: "default.lan" }],
      },
    }]);
    assert.deepEqual(findings.map(({ level }: { level: string }) => level), ["decide"]);
    assert.ok((await Deno.stat(join(output, "patches/pod-p.yaml"))).isFile);
  }));

Deno.test("migrate refuses a folder that is not empty, and writes nothing", () =>
  inFolder(async (folder) => {
    const file = join(folder, "multus.yaml");
    await Deno.writeTextFile(file, definition("lan", { type: "macvlan" }) + pod("p", "lan"));
    const { code, stdout, stderr } = await cli(["migrate", file, "--output", folder]);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /the folder is not empty \(it holds multus\.yaml\).*nothing was written/);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["multus.yaml"]);
    const inFile = await cli(["migrate", file, "--output", file]);
    assert.equal(inFile.code, 2);
    assert.match(inFile.stderr, /multus\.yaml: not a folder/);
    const format = await cli(["migrate", file, "--output", "json"]);
    assert.equal(format.code, 2);
    assert.match(format.stderr, /as in -o json/);
  }));

Deno.test("migrate names the file, line and column of YAML that cannot be read", () =>
  inFolder(async (folder) => {
    const file = join(folder, "broken.yaml");
    await Deno.writeTextFile(file, `${definition("lan", { type: "macvlan" })}kind: [Pod\n`);
    const output = join(folder, "output");
    const { code, stderr } = await cli(["migrate", file, "--output", output]);
    assert.equal(code, 1);
    assert.match(stderr, /^network-dra migrate: .*broken\.yaml:\d+:\d+: YAML: /);
    await assert.rejects(Deno.stat(output), Deno.errors.NotFound);
  }));

Deno.test("migrate --selectors names a resource whose expression does not compile", () =>
  inFolder(async (folder) => {
    const [file, selectors] = ["multus.yaml", "selectors.yaml"].map((each) =>
      join(folder, each)
    ) as [
      string,
      string,
    ];
    await Deno.writeTextFile(file, definition("lan", { type: "macvlan" }));
    await Deno.writeTextFile(selectors, "intel.com/sriov: device.driver ==\n");
    const { code, stderr } = await cli(["migrate", file, "--selectors", selectors]);
    assert.equal(code, 2);
    assert.match(stderr, /--selectors .*: intel\.com\/sriov: .* does not compile/);
  }));
