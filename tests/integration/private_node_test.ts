import assert from "node:assert/strict";
import { NODE_STATE } from "../../mod/simulator/private_node.ts";

Deno.test("a private node shows nothing of what the machine keeps where it is a node itself", async () => {
  const mounts = (await Deno.readTextFile("/proc/mounts")).split("\n").map((line) =>
    line.split(" ")
  );
  for (const folder of ["/run", ...NODE_STATE]) {
    const [, , kind] = mounts.findLast(([, target]) => target === folder) ?? [];
    assert.equal(kind, "tmpfs", folder);
  }
});
