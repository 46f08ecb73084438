import assert from "node:assert/strict";
import { join } from "node:path";
import { installInterfaceLister, InterfaceLister, interfaceLister } from "./interface_lister.ts";

const never = new AbortController().signal;

Deno.test("interfaceLister() is a program for each machine that the agent is built for", () => {
  for (const [arch, machine] of [["x86_64", 62], ["aarch64", 183]] as const) {
    assert.equal(new DataView(interfaceLister(arch)!.buffer).getUint16(0x12, true), machine);
  }
  assert.equal(interfaceLister("riscv64"), undefined);
});

Deno.test("a path that is not a namespace is refused by name, and the next question is answered", () =>
  withLister(async (lister) => {
    await assert.rejects(lister.list("/nonexistent", never), {
      message: "cannot list the interfaces in the network namespace /nonexistent: ENOENT",
    });
    await assert.rejects(lister.list(`/${"x".repeat(2000)}`, never), /too long/);
    await assert.rejects(lister.list("/dev/null", never), /\/dev\/null: EINVAL/);
    await assert.rejects(lister.list("/nonexistent", AbortSignal.abort(new Error("over"))), /over/);
    await assert.rejects(lister.list("/nonexistent", never), /ENOENT/);
  }));

async function withLister(body: (lister: InterfaceLister) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const lister = new InterfaceLister((await installInterfaceLister(folder))!);
  try {
    assert.equal(((await Deno.stat(join(folder, "interfaces"))).mode ?? 0) & 0o777, 0o700);
    await body(lister);
  } finally {
    await lister.close();
    await Deno.remove(folder, { recursive: true });
  }
}
