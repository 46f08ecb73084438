import assert from "node:assert/strict";
import { join } from "node:path";
import { listenUnix } from "./listen.ts";

async function inFolder(body: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(join(folder, "s.sock"), folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function answers(listener: Deno.UnixListener, path: string): Promise<boolean> {
  const accepted = listener.accept();
  const connection = await Deno.connect({ transport: "unix", path });
  (await accepted).close();
  connection.close();
  return true;
}

Deno.test("listenUnix() listens for root alone and leaves nothing beside the socket", () =>
  inFolder(async (path, folder) => {
    const listener = listenUnix(path);
    try {
      assert.equal((await Deno.lstat(path)).mode! & 0o777, 0o600);
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["s.sock"]);
      assert.ok(await answers(listener, path));
    } finally {
      listener.close();
    }
  }));

Deno.test("listenUnix() takes the place of what stood there, which does not take it along", () =>
  inFolder(async (path) => {
    const first = listenUnix(path);
    const accepting = first.accept().catch(() => {});
    const second = listenUnix(path);
    try {
      first.close();
      await accepting;
      // Deno removes a closed listener's file a little later.
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.ok(await answers(second, path));
    } finally {
      second.close();
    }
  }));

Deno.test("listenUnix() that cannot take the path leaves nothing", () =>
  inFolder(async (path, folder) => {
    await Deno.mkdir(join(path, "full"), { recursive: true });
    assert.throws(() => listenUnix(path));
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["s.sock"]);
  }));
