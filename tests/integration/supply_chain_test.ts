/** What the project is made of: documented, in exact versions, and nothing of it runs when it is installed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { basePackages } from "../../deploy/image/base.ts";
import { dependenciesDocument } from "../../deploy/supply/document.ts";
import { makeSbom } from "../../deploy/supply/sbom.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const lock = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.lock")));

async function formatted(markdown: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--ext", "md", "--config", join(ROOT, "deno.json"), "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(markdown));
  await writer.close();
  return new TextDecoder().decode((await child.output()).stdout);
}

Deno.test("docs/dependencies.md says what the lock file holds", async () => {
  assert.equal(
    await Deno.readTextFile(join(ROOT, "docs/dependencies.md")),
    await formatted(await dependenciesDocument()),
    "run: deno task dependencies",
  );
});

Deno.test("every package comes from npm in one exact version with its digest", () => {
  for (const specifier of [...Object.values(config.imports), ...Object.keys(lock.specifiers)]) {
    assert.match(specifier, /^npm:(@[a-z0-9-]+\/)?[a-z0-9.-]+@\d+\.\d+\.\d+(\/\S+)?$/);
  }
  for (const [key, { integrity }] of Object.entries<{ integrity: string }>(lock.npm)) {
    assert.match(integrity, /^sha512-[A-Za-z0-9+/]{86}==$/, key);
  }
  assert.deepEqual(Object.keys(lock).toSorted(), ["npm", "specifiers", "version", "workspace"]);
});

Deno.test("nothing is resolved anew, and no install script runs", async () => {
  assert.deepEqual(config.lock, { path: "./deno.lock", frozen: true });
  for (const key of ["allowScripts", "nodeModulesDir", "vendor", "links", "patch"]) {
    assert.ok(!(key in config), `deno.json has ${key}`);
  }
  // The page has other types than the rest, and no packages of its own.
  assert.deepEqual(config.workspace, ["./mod/ui/page"]);
  const page = JSON.parse(await Deno.readTextFile(join(ROOT, "mod/ui/page/deno.json")));
  assert.deepEqual(Object.keys(page), ["compilerOptions"]);
  for (const [name, task] of Object.entries(config.tasks)) {
    assert.ok(!/allow-scripts|--no-lock|frozen=false/.test(task), `the task ${name}: ${task}`);
  }
  assert.match(await Deno.readTextFile(join(ROOT, ".ci/run")), /^deno install --frozen/m);
});

Deno.test("a lock file that does not fit is refused", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      join(folder, "deno.json"),
      JSON.stringify({ lock: config.lock, imports: { yaml: config.imports.yaml } }),
    );
    await Deno.writeTextFile(join(folder, "deno.lock"), JSON.stringify({ version: lock.version }));
    await Deno.writeTextFile(join(folder, "main.ts"), 'import "yaml"; console.log("ran");\n');
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--cached-only", "main.ts"],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    assert.equal(success, false);
    assert.equal(new TextDecoder().decode(stdout), "");
    assert.match(new TextDecoder().decode(stderr), /lockfile is out of date/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the SBOM names every package of the lock file and of the image, and is the same each time", async () => {
  const sbom = await makeSbom();
  assert.deepEqual(await makeSbom(), sbom);
  assert.deepEqual([sbom.bomFormat, sbom.specVersion, sbom.version], ["CycloneDX", "1.6", 1]);
  const refs = sbom.components.map((component) => component["bom-ref"]);
  assert.equal(new Set(refs).size, refs.length);
  const base = basePackages("amd64");
  assert.equal(refs.length, Object.keys(lock.npm).length + 1 + base.length);
  const known = new Set([...refs, sbom.metadata.component["bom-ref"]]);
  assert.deepEqual(new Set(sbom.dependencies.map(({ ref }) => ref)), known);
  for (const { dependsOn } of sbom.dependencies) {
    assert.equal(new Set(dependsOn).size, dependsOn.length);
    for (const ref of dependsOn) assert.ok(known.has(ref), ref);
  }
  for (const { name, version, sha256 } of base) {
    const component = sbom.components.find((each) => each.name === name);
    assert.ok(component && "hashes" in component, name);
    assert.equal(component.version, version);
    assert.deepEqual(component.hashes, [{ alg: "SHA-256", content: sha256 }]);
    assert.match(component.purl, /^pkg:deb\/debian\/[a-z0-9-]+@[A-Za-z0-9.%-]+\?arch=/);
  }
  for (const component of sbom.components) {
    if (component.purl.startsWith("pkg:deb/")) continue;
    assert.match(
      component.purl,
      /^pkg:(npm|generic)\/(%40[a-z0-9-]+\/)?[A-Za-z0-9._-]+@[0-9a-z.-]+$/,
    );
    const { licenses, hashes } = component as {
      readonly licenses: readonly unknown[];
      readonly hashes?: readonly { readonly content: string }[];
    };
    assert.equal(licenses.length, 1);
    if (hashes) assert.match(hashes[0]!.content, /^[0-9a-f]{128}$/);
  }
});
