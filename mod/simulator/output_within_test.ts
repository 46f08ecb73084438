import assert from "node:assert/strict";
import { outputWithin } from "./output_within.ts";

Deno.test("outputWithin() gives what a program prints and how it ends", async () => {
  const args = ["-c", "echo out; echo err >&2; exit 3"];
  const { code, stdout, stderr } = await outputWithin(1, "sh", { args });
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.deepEqual([code, out, err], [3, "out\n", "err\n"]);
});

Deno.test("outputWithin() kills what takes longer than its limit, and names it", async () => {
  await assert.rejects(
    outputWithin(0.002, "sleep", { args: ["60"] }),
    /^Error: sleep 60 did not end within 0.002 minutes; try again$/,
  );
});

Deno.test("outputWithin() does not wait for what the program started", {
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  const args = ["-c", "sleep 30 & wait"];
  const began = Date.now();
  await assert.rejects(outputWithin(0.002, "sh", { args }), /did not end/);
  assert.ok(Date.now() - began < 25_000);
});
