import assert from "node:assert/strict";
import { NOT_LAUNCHED, readFailure, sessionLauncher } from "./session_launcher.ts";

const ENOENT = 2;

Deno.test("sessionLauncher() is an ELF file for each machine that the agent is built for", () => {
  for (const [arch, machine] of [["x86_64", 62], ["aarch64", 183]] as const) {
    const file = sessionLauncher(arch)!;
    const view = new DataView(file.buffer);
    assert.equal(view.getUint32(0), 0x7f454c46);
    assert.equal(view.getUint16(0x12, true), machine);
    // It begins where the headers end, and all of the file is loaded.
    const [entry, offset] = [view.getBigUint64(0x18, true), view.getBigUint64(0x20, true)];
    const segments = view.getUint16(0x38, true);
    assert.equal(Number(entry) & 0xffff, Number(offset) + segments * view.getUint16(0x36, true));
    assert.equal(view.getBigUint64(Number(offset) + 0x20, true), BigInt(file.length));
  }
  assert.equal(sessionLauncher("riscv64"), undefined);
});

Deno.test("sessionLauncher() for this machine says by its exit code that there is no such program", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, sessionLauncher()!);
    await Deno.chmod(path, 0o700);
    const outcome = await new Deno.Command(path, { args: ["", "/nonexistent", "x"] }).output();
    assert.equal(outcome.code, NOT_LAUNCHED);
    assert.deepEqual(readFailure(outcome), { step: "exec", errno: ENOENT });
  } finally {
    await Deno.remove(path);
  }
});
