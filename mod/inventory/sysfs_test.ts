import assert from "node:assert/strict";
import { join } from "node:path";
import { clearImmediate, setImmediate } from "node:timers";
import { grepAll, linkSysfs, SysfsLinks } from "./sysfs.ts";

const never = new AbortController().signal;

/** A sysfs of that many links. */
async function withSysfs(count: number, body: (stateDir: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const [sysfs, stateDir] = [join(folder, "sys"), join(folder, "state")];
    for (const each of [stateDir, join(sysfs, "class/net")]) {
      await Deno.mkdir(each, { recursive: true });
    }
    for (let i = 1; i <= count; i++) {
      const link = join(sysfs, `devices/virtual/net/d${i}`);
      await Deno.mkdir(link, { recursive: true });
      const files = { ifindex: i, iflink: i, mtu: 1500, type: 1, flags: "0x1003" };
      for (const [name, text] of Object.entries(files)) {
        await Deno.writeTextFile(join(link, name), `${text}\n`);
      }
      await Deno.symlink(`../../devices/virtual/net/d${i}`, join(sysfs, `class/net/d${i}`));
    }
    linkSysfs({ sysfs, stateDir });
    await body(stateDir);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("read() lets others have their turn on a node with many links", () =>
  withSysfs(300, async (stateDir) => {
    const links = new SysfsLinks({ stateDir, readBy: () => Promise.reject(new Error("closed")) });
    let turns = 0;
    const turn = () => {
      turns++;
      next = setImmediate(turn);
    };
    let next = setImmediate(turn);
    const found = await links.read(never);
    clearImmediate(next);
    assert.equal(found.length, 300);
    assert.deepEqual(found.find(({ name }) => name === "d7")?.index, 7);
    assert.ok(turns >= 10, `${turns} turns`);
  }));

Deno.test("grepAll() reads more files than a program takes arguments", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const paths = Array.from(
      { length: 50_000 },
      (_, i) => join(folder, "a-device-of-sysfs", `${i}`),
    );
    const there = [join(folder, "0000:00:03.0"), join(folder, "uevent")];
    await Deno.writeTextFile(there[0]!, "1\n");
    await Deno.writeTextFile(there[1]!, "a: b\nc\n");
    const texts = await grepAll([there[0]!, ...paths, there[1]!], never);
    assert.deepEqual([...texts], [[there[0], "1\n"], [there[1], "a: b\nc\n"]]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
