import assert from "node:assert/strict";
import { anAttachmentSnapshot, aStatusDocument } from "../../tests/support/status_documents.ts";
import { changesBetween } from "./changes.ts";

Deno.test("changesBetween() names what came, went and changed, and nothing else", () => {
  const before = aStatusDocument([
    anAttachmentSnapshot("default/web", { state: "attaching", addresses: [] }),
    anAttachmentSnapshot("default/old"),
  ]);
  const after = aStatusDocument([
    anAttachmentSnapshot("default/web"),
    anAttachmentSnapshot("default/new", { state: "attach_failed", error: "no address left" }),
  ], { at: "2026-01-01T02:00:00.000Z" });
  assert.deepEqual(changesBetween(before, { ...before, at: after.at }), []);
  assert.deepEqual(changesBetween(before, after), [
    "pod default/web, net1 (sandbox-defa): attaching → attached (10.0.0.2/24,fd00::2/64)",
    "pod default/new, net1 (sandbox-defa): attach_failed (no address left)",
    "claim default/claim-web: attaching → attached",
    "claim default/claim-new: attach_failed",
    "pod default/old, net1 (sandbox-defa): gone",
    "claim default/claim-old: gone",
  ]);
});
