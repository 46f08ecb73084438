import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { selfSigned } from "./self_signed.ts";

Deno.test("selfSigned() is a certificate of version 3 for its names, signed with its key", () => {
  const { cert } = selfSigned(["node-1", "localhost"], new Date());
  const read = new X509Certificate(cert);
  assert.equal(read.subjectAltName, "DNS:node-1, DNS:localhost");
  assert.equal(read.subject, "CN=network-dra");
  assert.ok(read.verify(read.publicKey));
  const years = (Date.parse(read.validTo) - Date.now()) / (365 * 24 * 3_600_000);
  assert.ok(years > 9.9 && years < 10, read.validTo);
});
