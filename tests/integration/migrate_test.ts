/** `network-dra migrate` as a user runs it: what comes of it passes `lint`, and attaches in `try`. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { migrate } from "../../mod/migrate/migrate.ts";
import { kustomization, stream } from "../../mod/migrate/written.ts";
import { cli } from "../support/cli.ts";
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

/** Writes a shape's files, and gives the flags of `migrate` and of `try` that name them. */
async function given(folder: string, { yaml, selectors, node, networks }: Shape) {
  const write = async (name: string, text: string) => {
    await Deno.writeTextFile(join(folder, name), text);
    return join(folder, name);
  };
  const networkDir = join(folder, "networks");
  await Deno.mkdir(networkDir);
  for (const [name, text] of Object.entries(networks ?? {})) await write(`networks/${name}`, text);
  return {
    file: await write("multus.yaml", yaml),
    flags: selectors === undefined ? [] : ["--selectors", await write("selectors.yaml", selectors)],
    attempt: [
      ...["--network-dir", networkDir],
      ...node === undefined ? [] : ["--node", await write("node.yaml", node)],
    ],
  };
}

function interfaces(stdout: string): string[][] {
  const printed = parse(stdout);
  // deno-lint-ignore no-explicit-any -- likewise
  const claims: any[] = printed.kind === "List" ? printed.items : [printed];
  return claims.map(({ status }) =>
    // deno-lint-ignore no-explicit-any -- likewise
    status.devices.map(({ networkData: { interfaceName, ips = [] } }: any) =>
      [interfaceName, ...ips].join(" ")
    )
  );
}

for (const shape of SHAPES) {
  Deno.test(`migrate: ${shape.name}`, () =>
    inFolder(async (folder) => {
      const { file, flags } = await given(folder, shape);
      const moved = await cli(["migrate", file, ...flags]);
      const { decide = [] } = shape;
      assert.equal(moved.code, decide.length > 0 ? 3 : 0, moved.stderr);
      for (const pattern of decide) assert.match(moved.stderr, pattern);
      assert.match(moved.stderr, /; 0 to leave, /);
      assert.equal(moved.stdout.match(/# DECIDE: /g)?.length ?? 0, decide.length, moved.stdout);
      const output = join(folder, "claims.yaml");
      await Deno.writeTextFile(output, moved.stdout);
      const checked = await cli(["lint", output]);
      assert.equal(checked.stdout, "1 file: 0 errors, 0 warnings\n");
    }));

  const { interfaces: wanted } = shape;
  if (wanted === undefined) continue;
  Deno.test(`migrate: ${shape.name}: attaches as with Multus`, () =>
    inFolder(async (folder) => {
      await using _nft = shape.needs === "nft" ? await installNft() : undefined;
      const { file, flags, attempt } = await given(folder, shape);
      const output = join(folder, "claims.yaml");
      await Deno.writeTextFile(output, (await cli(["migrate", file, ...flags])).stdout);
      const tried = await cli(["try", output, ...attempt]);
      assert.equal(tried.code, 0, tried.stderr);
      assert.match(tried.stderr, /nothing is left/);
      assert.deepEqual(interfaces(tried.stdout), wanted);
    }));
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
