import assert from "node:assert/strict";
import { join } from "node:path";
import { parse as parseYaml } from "yaml";
import { krewArchive, krewManifest } from "./krew.ts";

Deno.test("krewManifest() has the release's version and checksum, and nothing left to fill in", async () => {
  const text = await krewManifest({
    version: "1.2.3",
    architecture: "arm64",
    archive: "network-dra-1.2.3-kubectl-arm64.tar.gz",
    sha256: "ab".repeat(32),
  });
  assert.doesNotMatch(text, /\{[A-Z]/);
  const { metadata, spec } = parseYaml(text);
  assert.equal(metadata.name, "network-dra");
  assert.equal(spec.version, "v1.2.3");
  const [{ selector, uri, sha256, bin, files }] = spec.platforms;
  assert.deepEqual(selector.matchLabels, { os: "linux", arch: "arm64" });
  assert.match(uri, /\/v1\.2\.3\/network-dra-1\.2\.3-kubectl-arm64\.tar\.gz$/);
  assert.equal(sha256, "ab".repeat(32));
  assert.ok(files.some(({ from }: { from: string }) => from === bin));
});

Deno.test("krewArchive() holds the executable by the plugin's name", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [program, archive] = [join(folder, "program"), join(folder, "archive.tar.gz")];
    await Deno.writeTextFile(program, "#!/bin/sh\n");
    await Deno.writeFile(archive, await krewArchive(program));
    const args = ["-xzf", archive, "-C", folder];
    assert.ok((await new Deno.Command("tar", { args }).output()).success);
    const { mode } = await Deno.stat(join(folder, "kubectl-network_dra"));
    assert.equal(mode! & 0o777, 0o755);
    assert.ok((await Deno.stat(join(folder, "LICENSE"))).size > 1000);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
