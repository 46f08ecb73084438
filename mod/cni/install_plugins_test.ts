import assert from "node:assert/strict";
import { join } from "node:path";
import { installPlugins } from "./install_plugins.ts";

async function withFolders(
  body: (folders: { readonly from: string; readonly to: string }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const [from, to] = [join(folder, "from"), join(folder, "to")];
  try {
    for (const each of [from, to]) await Deno.mkdir(each);
    await body({ from, to });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function put(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await Deno.writeTextFile(join(folder, name), content);
    await Deno.chmod(join(folder, name), 0o755);
  }
}

const read = (folder: string, name: string) => Deno.readTextFile(join(folder, name));

Deno.test("installPlugins() adds what is missing, and can be done again", () =>
  withFolders(async ({ from, to }) => {
    await put(from, { macvlan: "one", vlan: "one" });
    await Deno.symlink("macvlan", join(from, "ipvlan"));
    await Deno.writeTextFile(join(from, "README.md"), "text", { mode: 0o644 });
    assert.deepEqual(await installPlugins({ from, to }), {
      added: ["ipvlan", "macvlan", "vlan"],
      updated: [],
      kept: [],
    });
    assert.equal(await read(to, "macvlan"), "one");
    assert.equal((await Deno.stat(join(to, "macvlan"))).mode! & 0o777, 0o755);
    assert.ok((await Deno.lstat(join(to, "ipvlan"))).isFile);
    const names = (await Array.fromAsync(Deno.readDir(to))).map(({ name }) => name).toSorted();
    assert.deepEqual(names, [".network-dra-plugins.json", "ipvlan", "macvlan", "vlan"]);
    assert.deepEqual(await installPlugins({ from, to }), { added: [], updated: [], kept: [] });
  }));

Deno.test("installPlugins() updates its own and keeps what is someone else's", () =>
  withFolders(async ({ from, to }) => {
    await put(to, { bridge: "the distribution's" });
    await Deno.symlink("/elsewhere/tap", join(to, "tap"));
    await put(from, { bridge: "one", macvlan: "one", tap: "one", vlan: "one" });
    assert.deepEqual(await installPlugins({ from, to }), {
      added: ["macvlan", "vlan"],
      updated: [],
      kept: ["bridge", "tap"],
    });
    // A package of the node brings a newer one.
    await put(to, { vlan: "the distribution's, newer" });
    await put(from, { bridge: "two", macvlan: "two", tap: "two", vlan: "two" });
    assert.deepEqual(await installPlugins({ from, to }), {
      added: [],
      updated: ["macvlan"],
      kept: ["bridge", "tap", "vlan"],
    });
    assert.equal(await read(to, "macvlan"), "two");
    assert.equal(await read(to, "bridge"), "the distribution's");
    assert.equal(await read(to, "vlan"), "the distribution's, newer");
    assert.equal(await Deno.readLink(join(to, "tap")), "/elsewhere/tap");
  }));

Deno.test("installPlugins() that has lost its record overwrites nothing", () =>
  withFolders(async ({ from, to }) => {
    await put(from, { macvlan: "one" });
    await installPlugins({ from, to });
    await Deno.writeTextFile(join(to, ".network-dra-plugins.json"), "{");
    await put(from, { macvlan: "two" });
    assert.deepEqual((await installPlugins({ from, to })).kept, ["macvlan"]);
    assert.equal(await read(to, "macvlan"), "one");
  }));

Deno.test("installPlugins() of a folder without programs says which", () =>
  withFolders(async ({ from, to }) => {
    await Deno.writeTextFile(join(from, "LICENSE"), "text", { mode: 0o644 });
    await assert.rejects(installPlugins({ from, to }), /\/from contains no programs$/);
    await assert.rejects(installPlugins({ from: `${from}/gone`, to }), Deno.errors.NotFound);
  }));
