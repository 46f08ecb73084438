import assert from "node:assert/strict";
import { join } from "node:path";
import { readSources } from "./given_sources.ts";
import { UsageError } from "./usage_error.ts";

const POD = "apiVersion: v1\nkind: Pod\n";

/** Files of a folder of their own, by name; gives what `body` gives. */
async function withFiles<T>(
  files: Readonly<Record<string, string>>,
  body: (path: (name: string) => string) => Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(folder, name), text);
    }
    return await body((name) => join(folder, name));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readSources() reads a file once, by whatever path it is named", async () => {
  const found = await withFiles({ "pod.yaml": POD, "other.yaml": POD }, async (path) => {
    await Deno.symlink(path("pod.yaml"), path("link.yaml"));
    const names = [
      "pod.yaml",
      "other.yaml",
      "pod.yaml",
      "../" + path("").split("/").at(-1) + "/pod.yaml",
    ];
    const sources = await readSources([...names, "link.yaml"].map(path));
    return sources.map(({ file }) => file.slice(path("").length));
  });
  assert.deepEqual(found, ["/pod.yaml", "/other.yaml"]);
});

Deno.test("readSources() says which flag a file is for that holds no objects", async () => {
  const cases: Record<string, RegExp> = {
    "nodes: [{ name: node-1 }]\n": /: describes nodes .*as --node FILE$/,
    "driverName: dra.networking\npolicy: { inline: false }\n":
      /: is a configuration file of the agent .*as --config FILE$/,
    '{ "cniVersion": "1.0.0", "name": "lan", "plugins": [] }\n':
      /: is a CNI configuration .*--network-dir$/,
  };
  for (const [text, says] of Object.entries(cases)) {
    await withFiles({ "given.yaml": text }, async (path) => {
      await assert.rejects(readSources([path("given.yaml")]), (error: Error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, says);
        return true;
      });
    });
  }
});

Deno.test("readSources() refuses what is not text in UTF-8, such as what PowerShell writes", async () => {
  const utf16 = "\ufeff" + POD.replaceAll(/(?=.)/gs, "\0");
  await withFiles({ "pod.yaml": utf16 }, async (path) => {
    await assert.rejects(readSources([path("pod.yaml")]), /pod\.yaml: is not text in UTF-8: save /);
  });
});

Deno.test("readSources() leaves what may be objects to whoever reads them", async () => {
  for (const text of [POD, `${POD}---\n${POD}`, "", "[]", "a: [", "metdata: {}\nspec: {}\n"]) {
    await withFiles({ "given.yaml": text }, async (path) => {
      assert.deepEqual((await readSources([path("given.yaml")])).map((each) => each.text), [text]);
    });
  }
});

Deno.test("readSources() refuses an empty name", async () => {
  await assert.rejects(
    readSources([""]),
    new UsageError("FILE: the name of a file cannot be empty"),
  );
});

Deno.test("readSources() reads standard input once, where a file is named -", async () => {
  let reads = 0;
  const input = () => `${POD}# read ${++reads}\n`;
  const sources = await withFiles(
    { "pod.yaml": POD },
    (path) => readSources(["-", path("pod.yaml"), "-"], input),
  );
  assert.deepEqual(sources.map(({ text }) => text), [`${POD}# read 1\n`, POD]);
  assert.equal(sources[0]!.file, "-");
  await withFiles({ "pod.yaml": POD }, (path) => readSources([path("pod.yaml")], input));
  assert.equal(reads, 1, "it is left alone where no file is named -");
});
