/** What `deno task release` makes: whole, the same each time, and of one version. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parse as parseYaml } from "yaml";
import config from "../../deno.json" with { type: "json" };
import { makeRelease } from "../../deploy/release/release.ts";
import { readObjects } from "../support/deployment.ts";
import { fetchHelmRender, renderChart } from "../support/helm_render.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const read = (path: string) => Deno.readTextFile(join(ROOT, path));
const base = `network-dra-${config.version}`;

async function output(program: string, args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("a release has all its parts, and is the same each time", async (t) => {
  const folder = await Deno.makeTempDir();
  const [first, second] = [join(folder, "first"), join(folder, "second")];
  const at = (name: string) => join(first, name);
  try {
    await makeRelease({ folder: first });
    await makeRelease({ folder: second });
    const sums = await Deno.readTextFile(at("SHA256SUMS"));
    await t.step("the same bytes", async () => {
      assert.equal(await Deno.readTextFile(join(second, "SHA256SUMS")), sums);
    });
    await t.step("with checksums that sha256sum knows", async () => {
      const names = (await Array.fromAsync(Deno.readDir(first))).map(({ name }) => name);
      assert.deepEqual(
        names.toSorted(),
        [
          "SHA256SUMS",
          ...[`${base}-image-amd64.tar`, `${base}-linux-amd64`, `${base}.cdx.json`],
          ...[`${base}-kubectl-amd64.tar.gz`, `${base}.krew.yaml`],
          ...[`${base}.intoto.json`, `${base}.tgz`, `${base}.yaml`],
        ].toSorted(),
      );
      const checked = await output("sha256sum", ["--check", "--strict", "SHA256SUMS"], first);
      assert.equal(checked.match(/: OK$/gm)?.length, names.length - 1);
    });
    await t.step("the provenance names what was made, and what of", async () => {
      const statement = JSON.parse(await Deno.readTextFile(at(`${base}.intoto.json`)));
      const { subject, predicate } = statement as {
        readonly subject: readonly { readonly name: string; readonly digest: { sha256: string } }[];
        readonly predicate: {
          readonly buildDefinition: {
            readonly resolvedDependencies: readonly { readonly uri?: string }[];
          };
        };
      };
      assert.equal(subject.length, 7);
      for (const { name, digest } of subject) {
        assert.ok(sums.includes(`${digest.sha256}  ${name}\n`), name);
      }
      const uris = predicate.buildDefinition.resolvedDependencies.map(({ uri }) => uri ?? "");
      for (const part of [`deno@${Deno.version.deno}`, "esbuild@", "debian/libc6@"]) {
        assert.ok(uris.some((uri) => uri.includes(part)), part);
      }
    });
    await t.step("the chart's package holds the chart", async () => {
      const listed = (await output("tar", ["-tzf", at(`${base}.tgz`)], first)).trim().split("\n");
      assert.equal(listed[0], "network-dra/Chart.yaml");
      await output("tar", ["-xzf", at(`${base}.tgz`)], folder);
      const chart = join(ROOT, "deploy/helm/network-dra");
      assert.equal(await output("diff", ["-r", chart, join(folder, "network-dra")], folder), "");
    });
    const helm = await fetchHelmRender();
    await t.step({
      name: "helm takes the chart's package",
      ignore: "missing" in helm,
      fn: async () => {
        assert.ok("path" in helm);
        const rendered = await renderChart(helm.path, {}, at(`${base}.tgz`));
        const plain = await Deno.readTextFile(at(`${base}.yaml`));
        assert.deepEqual(readObjects(rendered), readObjects(plain));
      },
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the version is the same wherever it stands", async () => {
  const chart = parseYaml(await read("deploy/helm/network-dra/Chart.yaml"));
  const [, changelog] = (await read("CHANGELOG.md")).match(/^## (\S+)/m)!;
  const [, label] = (await read("Containerfile"))
    .match(/org\.opencontainers\.image\.version="([^"]*)"/)!;
  assert.deepEqual(
    { chart: chart.version, app: chart.appVersion, changelog, label },
    {
      chart: config.version,
      app: config.version,
      changelog: config.version,
      label: config.version,
    },
  );
});
