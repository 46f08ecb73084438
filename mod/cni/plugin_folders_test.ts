import assert from "node:assert/strict";
import { join } from "node:path";
import { linkPluginFolders, PluginFolders } from "./plugin_folders.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("types() names the programs of all folders once, and nothing else", () =>
  inFolder(async (folder) => {
    const [one, two] = [join(folder, "one"), join(folder, "two")];
    for (const each of [one, two]) await Deno.mkdir(each);
    for (const path of [join(one, "macvlan"), join(two, "macvlan"), join(two, "bridge")]) {
      await Deno.writeTextFile(path, "", { mode: 0o755 });
    }
    await Deno.writeTextFile(join(one, "README.md"), "", { mode: 0o644 });
    await Deno.mkdir(join(one, "folder"));
    await Deno.symlink("/opt/cni/bin/elsewhere", join(one, "link-to-nothing"));
    const folders = new PluginFolders({ cniPath: [one, "/nonexistent", two] });
    assert.deepEqual(folders.types(), ["bridge", "macvlan"]);
    assert.equal(folders.find("macvlan")?.path, join(one, "macvlan"));
    assert.equal(folders.find("link-to-nothing"), undefined);
  }));

Deno.test("plugins that run in another root are looked for there, and named as they are there", () =>
  inFolder(async (folder) => {
    const [root, stateDir] = [join(folder, "root"), join(folder, "state")];
    await Deno.mkdir(join(root, "data/v1"), { recursive: true });
    await Deno.mkdir(join(root, "opt/cni"), { recursive: true });
    await Deno.mkdir(stateDir);
    // As k3s has them: a folder behind a link, and links to one program.
    await Deno.symlink("/data/v1", join(root, "opt/cni/bin"));
    await Deno.writeTextFile(join(root, "data/v1/cni"), "", { mode: 0o755 });
    await Deno.symlink("/data/v1/cni", join(root, "data/v1/bridge"));
    await Deno.symlink("cni", join(root, "data/v1/macvlan"));
    const options = {
      cniPath: ["/opt/cni/bin", "/usr/lib/cni"],
      chrootDir: root,
      stateDir,
    };
    linkPluginFolders(options);
    const folders = new PluginFolders(options);
    assert.deepEqual(folders.types(), ["bridge", "cni", "macvlan"]);
    assert.equal(folders.find("bridge")?.path, "/opt/cni/bin/bridge");
    assert.equal(folders.find("macvlan")?.path, "/opt/cni/bin/macvlan");
    assert.equal(folders.find("tap"), undefined);
    // A folder that comes later is found.
    await Deno.mkdir(join(root, "usr/lib/cni"), { recursive: true });
    await Deno.writeTextFile(join(root, "usr/lib/cni/tap"), "", { mode: 0o755 });
    assert.equal(folders.find("tap")?.path, "/usr/lib/cni/tap");
    // As is one that the next start finds behind another link.
    await Deno.mkdir(join(root, "data/v2"));
    await Deno.writeTextFile(join(root, "data/v2/vlan"), "", { mode: 0o755 });
    await Deno.remove(join(root, "opt/cni/bin"));
    await Deno.symlink("/data/v2", join(root, "opt/cni/bin"));
    linkPluginFolders(options);
    assert.deepEqual(folders.types(), ["tap", "vlan"]);
  }));

Deno.test("find() tells a program from the one that replaced it", () =>
  inFolder(async (folder) => {
    const folders = new PluginFolders({ cniPath: [folder] });
    await Deno.writeTextFile(join(folder, "macvlan"), "old", { mode: 0o755 });
    const before = folders.find("macvlan")!;
    assert.deepEqual(folders.find("macvlan"), before);
    await Deno.writeTextFile(join(folder, "new"), "newer", { mode: 0o755 });
    await Deno.rename(join(folder, "new"), join(folder, "macvlan"));
    const after = folders.find("macvlan")!;
    assert.equal(after.path, before.path);
    assert.notEqual(after.stamp, before.stamp);
  }));

Deno.test("lack says of each folder why it holds no plugin, and is undefined once one does", () =>
  inFolder(async (folder) => {
    const [one, two] = [join(folder, "one"), join(folder, "two")];
    const folders = new PluginFolders({ cniPath: [one, two] });
    assert.equal(folders.lack()?.problem, `${one} does not exist, ${two} does not exist`);
    assert.match(folders.lack()?.whatToDo ?? "", /install CNI plugins .*--cni-path/);
    await Deno.mkdir(two);
    await Deno.writeTextFile(join(two, "README"), "", { mode: 0o644 });
    assert.equal(folders.lack()?.problem, `${one} does not exist, ${two} holds no plugin`);
    await Deno.writeTextFile(join(two, "macvlan"), "", { mode: 0o755 });
    assert.equal(folders.lack(), undefined);
  }));
