import assert from "node:assert/strict";
import { anAttachmentSnapshot, aStatusDocument } from "../../tests/support/status_documents.ts";
import { documentText } from "./document_text.ts";

Deno.test("documentText() is the document, made in pieces as they are read", () => {
  for (const count of [0, 1, 19, 20, 21, 40, 1_000]) {
    const attachments = Array.from({ length: count }, (_, i) => anAttachmentSnapshot(`a/p${i}`));
    const document = aStatusDocument(attachments);
    assert.deepEqual(JSON.parse([...documentText(document)].join("")), document);
  }
  let made = 0;
  function* counted() {
    for (;;) yield anAttachmentSnapshot(`a/p${made++}`);
  }
  const pieces = documentText({ ...aStatusDocument([]), attachments: counted() });
  while (made === 0) pieces.next();
  assert.equal(made, 20);
});
