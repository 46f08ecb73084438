import assert from "node:assert/strict";
import { join } from "node:path";
import { removeDurably, replaceFile, writeDurably } from "./durable.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("writeDurably() replaces the whole content and leaves nothing beside it", () =>
  inFolder(async (folder) => {
    const path = join(folder, "record");
    await writeDurably(path, "a long first content");
    await writeDurably(path, "short", { mode: 0o644 });
    assert.equal(await Deno.readTextFile(path), "short");
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o644);
    assert.deepEqual(names(folder), ["record"]);
  }));

Deno.test("writeDurably() that fails leaves nothing beside what stood there", () =>
  inFolder(async (folder) => {
    const path = join(folder, "record");
    // Nothing can be renamed to a folder that holds something.
    await Deno.mkdir(join(path, "x"), { recursive: true });
    await assert.rejects(writeDurably(path, "x"));
    assert.deepEqual(names(folder), ["record"]);
  }));

Deno.test("writeDurably() keeps what it writes to its owner", () =>
  inFolder(async (folder) => {
    const path = join(folder, "record");
    await writeDurably(path, "x");
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  }));

Deno.test("writeDurably() follows no link that was planted at the temporary name", () =>
  inFolder(async (folder) => {
    const [path, victim] = [join(folder, "record"), join(folder, "victim")];
    await Deno.writeTextFile(victim, "untouched");
    await Deno.symlink(victim, `${path}.tmp`);
    await writeDurably(path, "x");
    assert.equal(await Deno.readTextFile(victim), "untouched");
    assert.equal(await Deno.readTextFile(path), "x");
  }));

Deno.test("writeDurably() and removeDurably() side by side in one folder all come to their end", () =>
  inFolder(async (folder) => {
    const paths = Array.from({ length: 100 }, (_, i) => join(folder, `${i}`));
    await Promise.all(paths.map((path) => writeDurably(path, path)));
    await Promise.all(paths.map(async (path, i) => {
      assert.equal(await Deno.readTextFile(path), path);
      if (i % 2 === 0) await removeDurably(path);
    }));
    assert.equal(names(folder).length, 50);
  }));

Deno.test("removeDurably() of a file that does not exist is not an error", () =>
  inFolder((folder) => removeDurably(join(folder, "nothing"))));

Deno.test("a folder that is not there fails its own writes only", () =>
  inFolder(async (folder) => {
    const missing = join(folder, "missing");
    await assert.rejects(writeDurably(join(missing, "record"), "x"), Deno.errors.NotFound);
    await Deno.mkdir(missing);
    await writeDurably(join(missing, "record"), "x");
    assert.deepEqual(names(missing), ["record"]);
  }));

Deno.test("replaceFile() is done when it returns, and leaves nothing beside what it wrote", () =>
  inFolder(async (folder) => {
    const [path, victim] = [join(folder, "spec"), join(folder, "victim")];
    await Deno.writeTextFile(victim, "untouched");
    await Deno.symlink(victim, `${path}.tmp`);
    replaceFile(path, "a long first content");
    replaceFile(path, "short", { mode: 0o644 });
    assert.equal(Deno.readTextFileSync(path), "short");
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o644);
    assert.equal(Deno.readTextFileSync(victim), "untouched");
    // Nothing can be renamed to a folder that holds something.
    await Deno.mkdir(join(folder, "folder/x"), { recursive: true });
    assert.throws(() => replaceFile(join(folder, "folder"), "x"));
    assert.deepEqual(names(folder), ["folder", "spec", "victim"]);
  }));
