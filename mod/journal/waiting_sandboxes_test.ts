import assert from "node:assert/strict";
import { join } from "node:path";
import { aSandbox } from "../../tests/support/agent_fakes.ts";
import { FileWaitingSandboxes } from "./waiting_sandboxes.ts";

async function withFolder(body: (folder: string, waiting: FileWaitingSandboxes) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder, new FileWaitingSandboxes(folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("each sandbox that waits is taken once, by whichever agent", () =>
  withFolder(async (folder, waiting) => {
    assert.deepEqual(await waiting.take(), []);
    await waiting.put(aSandbox("s1"));
    await waiting.put(aSandbox("s1"));
    await waiting.put(aSandbox("s2"));
    const taken = await new FileWaitingSandboxes(folder).take();
    assert.deepEqual(taken.toSorted((a, b) => a.id < b.id ? -1 : 1), [
      aSandbox("s1"),
      aSandbox("s2"),
    ]);
    assert.deepEqual(await waiting.take(), []);
  }));

Deno.test("what is not a sandbox's file is removed, and no path leads out of the folder", () =>
  withFolder(async (folder, waiting) => {
    await assert.rejects(waiting.put(aSandbox("../s1")), /^Error: id: /);
    await waiting.put(aSandbox("s1"));
    const path = (name: string) => join(folder, "waiting", name);
    await Deno.writeTextFile(path("s2.json"), await Deno.readTextFile(path("s1.json")));
    await Deno.writeTextFile(path("s3.json"), "{");
    await Deno.writeTextFile(path("s4.json"), JSON.stringify({ id: "s4", pod: {} }));
    await Deno.writeTextFile(path("note.txt"), "");
    assert.deepEqual(await waiting.take(), [aSandbox("s1")]);
    const left = await Array.fromAsync(Deno.readDir(join(folder, "waiting")));
    assert.deepEqual(left.map(({ name }) => name), ["note.txt"]);
  }));
