/** A state folder on a disk that takes nothing at the moment. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { FileJournal } from "../../mod/journal/journal.ts";
import { HostNamespaces, linkOwnNamespace } from "../../mod/netns/host_namespaces.ts";
import { anAttachment, aSandbox, FakeLog } from "../support/agent_fakes.ts";

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program} ${args}: ${new TextDecoder().decode(stderr)}`);
}

Deno.test("an agent starts from what a read-only state folder holds", async () => {
  const folder = await Deno.makeTempDir();
  await run("mount", "-t", "tmpfs", "tmpfs", folder);
  try {
    const log = new FakeLog();
    const journal = new FileJournal(folder, { log });
    await journal.load();
    linkOwnNamespace(folder);
    const claim = { namespace: "default", name: "a", uid: "uid-a" };
    const record = { claim, sandbox: aSandbox("s1"), attachment: anAttachment("net1") };
    await journal.putAttachment(record);
    // What a crash left, and a record that cannot be read.
    const attachments = join(folder, "attachments");
    await Deno.writeTextFile(join(attachments, "uid-b.x.json.tmp"), "{");
    await Deno.writeTextFile(join(attachments, "uid-c.x.json"), "{");
    await run("mount", "-o", "remount,ro", folder);
    linkOwnNamespace(folder);
    assert.equal(
      new HostNamespaces(folder, { interfaces: () => Promise.resolve(undefined) }).classify(
        join(folder, "own-netns"),
      ),
      "host",
    );
    const loaded = await new FileJournal(folder, { log }).load();
    assert.deepEqual(loaded.claims, []);
    assert.deepEqual(loaded.attachments, [record]);
    assert.deepEqual(loaded.unreadable.map(({ claimUid }) => claimUid), ["uid-c"]);
    await assert.rejects(journal.putAttachment(record), /read-only file system/);
  } finally {
    await run("umount", folder);
    await Deno.remove(folder);
  }
});
