/** The lead among a node's agents, while the disk of the state folder takes nothing. */
import assert from "node:assert/strict";
import { LeadLocks } from "../../mod/lead/lead_locks.ts";

async function mount(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("mount", { args }).output();
  if (!success) throw new Error(`mount ${args}: ${new TextDecoder().decode(stderr)}`);
}

Deno.test("an agent takes the lead on a read-only disk, and no other one does", async () => {
  const folder = await Deno.makeTempDir();
  await mount("-t", "tmpfs", "tmpfs", folder);
  try {
    const earlier = new LeadLocks(folder);
    assert.ok(earlier.take() && earlier.standNext());
    earlier.release();
    earlier.standDown();
    await mount("-o", "remount,ro", folder);
    const [one, other] = [new LeadLocks(folder), new LeadLocks(folder)];
    assert.equal(one.take(), true);
    assert.equal(other.take(), false);
    assert.equal(other.nextStands(), false);
    assert.equal(other.standNext(), true);
    assert.equal(one.nextStands(), true);
    one.release();
    assert.equal(other.take(), true);
    other.release();
    other.standDown();
  } finally {
    await new Deno.Command("umount", { args: [folder] }).output();
    await Deno.remove(folder);
  }
});
