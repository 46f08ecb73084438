import assert from "node:assert/strict";
import { anAttachmentSnapshot, aStatusDocument } from "../../tests/support/status_documents.ts";
import { filtered } from "./filter.ts";

const document = aStatusDocument([
  anAttachmentSnapshot("default/web"),
  anAttachmentSnapshot("default/db", { interface: "storage0", device: "cni" }),
  anAttachmentSnapshot("shop/db"),
], {
  claims: [{
    namespace: "default",
    name: "early",
    uid: "uid-early",
    state: "prepared",
    pods: ["soon"],
    devices: ["eth0-2"],
    attachments: 0,
  }],
});

/** What is kept, or why nothing is. */
function shown(word: string): string {
  const found = filtered(document, word);
  if (found.kind === "several") return `several: ${found.names.join(", ")}`;
  if (found.kind === "none") return `none, ${found.meant}`;
  const { attachments, claims, devices } = found.document;
  return [
    attachments.map(({ pod }) => `${pod.namespace}/${pod.name}`),
    claims.map(({ name }) => name),
    devices.map(({ name }) => name),
  ].join(" | ");
}

Deno.test("filtered() finds pods, claims, sandboxes and interfaces", () => {
  const cases: [word: string, shown: string][] = [
    ["web", "default/web |  | eth0"],
    ["default/web", "default/web |  | eth0"],
    ["claim-web", "default/web |  | eth0"],
    ["uid-default-web", "default/web |  | eth0"],
    ["sandbox-shop-db", "shop/db |  | eth0"],
    ["shop/db", "shop/db |  | eth0"],
    ["storage0", "default/db |  | cni"],
    ["eth0", "default/web,shop/db | early | eth0"],
    ["soon", " | early | "],
    ["early", " | early | "],
  ];
  for (const [word, expected] of cases) assert.equal(shown(word), expected, word);
});

Deno.test("filtered() lists what has the name in several namespaces, and says what was meant", () => {
  assert.equal(shown("db"), "several: pod default/db, pod shop/db");
  assert.equal(shown("claim-db"), "several: claim default/claim-db, claim shop/claim-db");
  assert.equal(shown("wbe"), "none, web");
  assert.equal(shown("default/wbe"), "none, default/web");
  assert.equal(shown("storage1"), "none, storage0");
  assert.equal(shown("nothing-like-it"), "none, undefined");
});
