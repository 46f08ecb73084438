import assert from "node:assert/strict";
import { join } from "node:path";
import { readTar, tar, type TarEntry } from "./tar.ts";

/** Longer than the field for names. */
const LONG = `${"a".repeat(70)}/${"b".repeat(70)}/${"c".repeat(90)}`;

const ENTRIES: readonly TarEntry[] = [
  { kind: "folder", path: "etc" },
  { kind: "file", path: "etc/empty", mode: 0o600, content: new Uint8Array(0) },
  { kind: "file", path: "etc/full", content: new Uint8Array(513).fill(7) },
  { kind: "link", path: "etc/link", target: "../elsewhere" },
  { kind: "folder", path: "tmp", mode: 0o1777 },
  { kind: "file", path: LONG, content: new Uint8Array(0) },
];

Deno.test("readTar() gives what tar() was given, with the modes that were left out", () => {
  assert.deepEqual(readTar(tar(ENTRIES)), [
    { kind: "folder", path: "etc", mode: 0o755 },
    { kind: "file", path: "etc/empty", mode: 0o600, content: new Uint8Array(0) },
    { kind: "file", path: "etc/full", mode: 0o644, content: new Uint8Array(513).fill(7) },
    { kind: "link", path: "etc/link", mode: 0o777, target: "../elsewhere" },
    { kind: "folder", path: "tmp", mode: 0o1777 },
    { kind: "file", path: LONG, mode: 0o644, content: new Uint8Array(0) },
  ]);
});

Deno.test("tar() makes what the program tar lists: root's, of 1970", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "x.tar");
    await Deno.writeFile(path, tar(ENTRIES));
    const { stdout } = await new Deno.Command("tar", {
      args: ["--list", "--verbose", "--numeric-owner", "--utc", "--file", path],
      env: { LC_ALL: "C" },
    }).output();
    assert.deepEqual(
      new TextDecoder().decode(stdout).trim().split("\n").map((line) => line.replace(/ +/g, " ")),
      [
        "drwxr-xr-x 0/0 0 1970-01-01 00:00 etc/",
        "-rw------- 0/0 0 1970-01-01 00:00 etc/empty",
        "-rw-r--r-- 0/0 513 1970-01-01 00:00 etc/full",
        "lrwxrwxrwx 0/0 0 1970-01-01 00:00 etc/link -> ../elsewhere",
        "drwxrwxrwt 0/0 0 1970-01-01 00:00 tmp/",
        `-rw-r--r-- 0/0 0 1970-01-01 00:00 ${LONG}`,
      ],
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("tar() refuses what its format cannot say, readTar() what it does not know", () => {
  assert.throws(() => tar([{ kind: "folder", path: "x".repeat(100) }]), /too long/);
  const device = tar([{ kind: "folder", path: "dev" }]);
  device[156] = "3".charCodeAt(0);
  assert.throws(() => readTar(device), /dev: type 3 .* is not supported/);
});
