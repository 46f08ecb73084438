import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { gzipStored } from "./gzip.ts";

for (const length of [0, 1, 0xffff, 0x10000, 200_000]) {
  Deno.test(`gzipStored() of ${length} bytes is what gunzip takes`, () => {
    const content = new Uint8Array(length).map((_, index) => index % 251);
    assert.deepEqual(new Uint8Array(gunzipSync(gzipStored(content))), content);
  });
}
