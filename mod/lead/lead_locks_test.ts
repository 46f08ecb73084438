import assert from "node:assert/strict";
import { join } from "node:path";
import { LeadLocks } from "./lead_locks.ts";

Deno.test("one agent has the lead, and one stands next; both are free again when their agents go", async () => {
  const folder = await Deno.makeTempDir();
  const [first, second] = [new LeadLocks(folder), new LeadLocks(folder)];
  try {
    assert.equal(first.take(), true);
    assert.equal(first.take(), true, "it has it already");
    assert.equal(second.take(), false);
    assert.equal(first.nextStands(), false);
    assert.equal(second.standNext(), true);
    assert.equal(first.nextStands(), true);
    assert.equal(second.nextStands(), false, "it is the one");
    assert.equal(first.standNext(), false);
    first.release();
    assert.equal(second.take(), true);
    second.standDown();
    assert.equal(first.nextStands(), false);
    assert.equal(first.take(), false);
  } finally {
    first.release();
    second.release();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an agent that is killed loses the lead", async () => {
  const folder = await Deno.makeTempDir();
  const locks = new LeadLocks(folder);
  const script = `
    import { LeadLocks } from ${JSON.stringify(import.meta.resolve("./lead_locks.ts"))};
    console.log(new LeadLocks(${JSON.stringify(folder)}).take());
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  `;
  const other = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "--allow-all",
      `data:text/typescript,${encodeURIComponent(script)}`,
    ],
    stdout: "piped",
  }).spawn();
  try {
    const reader = other.stdout.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "true\n");
    assert.equal(locks.take(), false);
    other.kill("SIGKILL");
    await other.status;
    await reader.cancel();
    assert.equal(locks.take(), true);
  } finally {
    locks.release();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("LeadLocks.nextStands() is not taken for a claim by another process that looks", async () => {
  const folder = await Deno.makeTempDir();
  const locks = new LeadLocks(folder);
  const script = `
    import { LeadLocks } from ${JSON.stringify(import.meta.resolve("./lead_locks.ts"))};
    const locks = new LeadLocks(${JSON.stringify(folder)});
    console.log(locks.nextStands());
    for (;;) locks.nextStands();
  `;
  const args = ["run", "--no-check", "--allow-all"];
  args.push(`data:text/typescript,${encodeURIComponent(script)}`);
  const other = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  try {
    const reader = other.stdout.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "false\n");
    await reader.cancel();
    let claims = 0;
    for (let i = 0; i < 5_000; i++) if (locks.nextStands()) claims++;
    assert.equal(claims, 0);
  } finally {
    other.kill("SIGKILL");
    await other.status;
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("LeadLocks makes no file by a link that was planted", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const elsewhere = join(folder, "elsewhere");
    await Deno.symlink(elsewhere, join(folder, "lead.lock"));
    assert.throws(() => new LeadLocks(folder).take(), /lead\.lock is not a regular file/);
    await assert.rejects(Deno.lstat(elsewhere), Deno.errors.NotFound);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
