import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { encodeOutside, readOutside } from "./outside.ts";

const OUTSIDE = { pid: 4711, input: "kind: Pod\nmetadata: { name: größer }\n" };

Deno.test("readOutside() reads the line in pieces of any size, and says when the pipe ends", async () => {
  for (const size of [1, 2, 1000]) {
    const bytes = encodeOutside(OUTSIDE);
    const pipe = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
    const writer = pipe.writable.getWriter();
    const written = (async () => {
      for (let at = 0; at < bytes.length; at += size) {
        await writer.write(bytes.slice(at, at + size));
      }
    })();
    const { outside, ended } = await readOutside(pipe.readable);
    await written;
    assert.deepEqual(outside, OUTSIDE);
    let open = true;
    void ended.then(() => open = false);
    await setImmediate();
    assert.ok(open);
    await writer.close();
    await ended;
  }
});

Deno.test("readOutside() fails where the pipe ends before the line does", async () => {
  const pieces = ReadableStream.from([encodeOutside({ pid: 1 }).slice(0, 5)]);
  await assert.rejects(readOutside(pieces), /has ended$/);
});
