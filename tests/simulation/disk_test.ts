import assert from "node:assert/strict";
import { Chance } from "./chance.ts";
import { Disk } from "./disk.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** What a file is after power cuts, by many seeds; undefined where it is gone. */
function outcomes(prepare: (disk: Disk) => void): Set<string | undefined> {
  const found = new Set<string | undefined>();
  for (let seed = 0; seed < 200; seed++) {
    const disk = new Disk();
    prepare(disk);
    disk.cutPower(new Chance(seed));
    found.add(disk.has("/a") ? new TextDecoder().decode(disk.read("/a")) : undefined);
  }
  return found;
}

function write(disk: Disk, path: string, text: string) {
  const file = disk.open(path, { write: true, createNew: true });
  file.write(bytes(text));
  return file;
}

Deno.test("Disk.cutPower() keeps what was synced with its folder", () => {
  const kept = outcomes((disk) => {
    write(disk, "/a", "whole").sync();
    disk.syncFolder("/");
  });
  assert.deepEqual(kept, new Set(["whole"]));
});

Deno.test("Disk.cutPower() may take a name whose folder was not synced", () => {
  const kept = outcomes((disk) => write(disk, "/a", "whole").sync());
  assert.deepEqual(kept, new Set(["whole", undefined]));
});

Deno.test("Disk.cutPower() may leave a part of what was not synced", () => {
  const kept = outcomes((disk) => {
    write(disk, "/a", "whole");
    disk.syncFolder("/");
  });
  assert.ok(kept.has("") && kept.has("whole") && kept.size > 2);
});

Deno.test("Disk.cutPower() leaves the old file or the new one of a rename", () => {
  const kept = outcomes((disk) => {
    write(disk, "/a", "old").sync();
    disk.syncFolder("/");
    write(disk, "/b", "new").sync();
    disk.rename("/b", "/a");
  });
  assert.deepEqual(kept, new Set(["old", "new"]));
});
