import assert from "node:assert/strict";
import { join } from "node:path";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import { NetworkFiles } from "./network_files.ts";

Deno.test("NetworkFiles reads the configurations of a folder, the first of a name", async () => {
  const folder = await Deno.makeTempDir();
  const log = new FakeLog();
  const put = (file: string, content: unknown) =>
    Deno.writeTextFile(join(folder, file), JSON.stringify(content));
  try {
    await put("10-lan.conflist", { cniVersion: "1.0.0", name: "lan", plugins: [{ type: "a" }] });
    await put("20-lan.conflist", { cniVersion: "1.0.0", name: "lan", plugins: [{ type: "b" }] });
    await put("30-wan.conf", { cniVersion: "0.4.0", name: "wan", type: "c", master: "eth1" });
    await put("40-broken.json", { cniVersion: "1.0.0", name: "bad", plugins: [] });
    await put("50-note.txt", {});
    const { names, find, where } = await new NetworkFiles(folder, { log }).read();
    assert.deepEqual(names, ["lan", "wan"]);
    assert.deepEqual(find("lan"), {
      network: { cniVersion: "1.0.0", name: "lan", plugins: [{ type: "a" }] },
      file: join(folder, "10-lan.conflist"),
    });
    assert.deepEqual(find("wan")!.network.plugins[0]!.master, "eth1");
    assert.equal(find("bad"), undefined);
    assert.match(where, /^in the files of .*, some of which cannot be read \(see the/);
    await new NetworkFiles(folder, { log }).read();
    const line = "warn cannot read the administrator's networks";
    assert.deepEqual(log.lines, [line, line]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("NetworkFiles says what is missing", async () => {
  const none = await new NetworkFiles("", { log: new FakeLog() }).read();
  assert.equal(none.find("lan"), undefined);
  assert.match(none.where, /started without --network-dir/);
  const gone = await new NetworkFiles("/nonexistent", { log: new FakeLog() }).read();
  assert.equal(gone.find("lan"), undefined);
  assert.match(gone.where, /of \/nonexistent, some of which cannot be read/);
});
