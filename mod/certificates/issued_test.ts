import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { issueCertificate, type IssuedCertificate, stateOf } from "./issued.ts";
import { selfSigned } from "./self_signed.ts";

const NAMES = ["network-dra-webhook.kube-system.svc"];
const DAY = 24 * 3_600_000;
const NOW = new Date("2026-11-30T12:00:00Z");
const later = (days: number) => new Date(NOW.getTime() + days * DAY);

Deno.test("issueCertificate() is what openssl verifies for its names, and for servers alone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { ca, cert, key } = issueCertificate(NAMES, new Date());
    const path = (name: string) => join(folder, name);
    await Deno.writeTextFile(path("ca"), ca);
    await Deno.writeTextFile(path("cert"), cert);
    await Deno.writeTextFile(path("key"), key);
    await Deno.writeTextFile(path("other"), issueCertificate(NAMES, new Date()).ca);
    const openssl = async (...args: string[]) => {
      const output = await new Deno.Command("openssl", { args, stdin: "null" }).output();
      const [out, err] = [output.stdout, output.stderr].map((each) =>
        new TextDecoder().decode(each)
      );
      return { success: output.success, text: `${out}${err}` };
    };
    const verify = (ca: string, ...more: string[]) =>
      openssl("verify", "-x509_strict", "-CAfile", path(ca), ...more, path("cert"));
    const right = await verify("ca", "-verify_hostname", NAMES[0]!, "-purpose", "sslserver");
    assert.ok(right.success, right.text);
    assert.match((await verify("ca", "-verify_hostname", "other.svc")).text, /hostname mismatch/i);
    assert.equal((await verify("ca", "-purpose", "sslclient")).success, false);
    assert.equal((await verify("other")).success, false);
    const { text } = await openssl("x509", "-in", path("ca"), "-noout", "-text");
    assert.match(text, /X509v3 Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    assert.match(text, /X509v3 Key Usage: critical\s+Certificate Sign/);
    assert.match(text, /Version: 3/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("issueCertificate(): every one has an authority and a key of its own", () => {
  const [one, other] = [issueCertificate(NAMES, NOW), issueCertificate(NAMES, NOW)];
  assert.notEqual(one.key, other.key);
  assert.notEqual(new X509Certificate(one.ca).subject, new X509Certificate(other.ca).subject);
  assert.equal(
    new X509Certificate(one.cert).verify(new X509Certificate(other.ca).publicKey),
    false,
  );
  assert.ok(new X509Certificate(one.cert).serialNumber.length > 16);
});

Deno.test("issueCertificate() in the years that UTCTime cannot tell", () => {
  for (const year of [2049, 2050, 2051]) {
    const now = new Date(`${year}-12-01T00:00:00Z`);
    const { validTo } = new X509Certificate(issueCertificate(NAMES, now).cert);
    assert.equal(Date.parse(validTo), now.getTime() + 90 * DAY);
  }
});

Deno.test("stateOf() says when the next one is due, and what is wrong with one", () => {
  const issued = issueCertificate(NAMES, NOW);
  const state = (changes: Partial<IssuedCertificate>, now = NOW, names = NAMES) =>
    stateOf({ ...issued, ...changes }, { names, now });
  assert.deepEqual(state({}), { is: "valid", made: NOW, renew: later(60) });
  assert.equal(state({}, later(-0.9)).is, "valid");
  assert.equal(state({}, later(89.9)).is, "valid");
  const other = issueCertificate(NAMES, NOW);
  const cases: [Partial<IssuedCertificate>, RegExp, Date?, string[]?][] = [
    [{}, /^it has expired at Feb 28 12:00:00 2027/, later(90)],
    [{}, /^it is not valid before Nov 29 12:00:00 2026/, later(-1.1)],
    [{}, /^it is not for b\.svc$/, NOW, ["b.svc"]],
    [{ key: other.key }, /^its key is of another certificate$/],
    [{ ca: other.ca }, /^it is not signed by its authority$/],
    [{ ca: issued.cert }, /^it is not signed by its authority$/],
    [{ cert: "" }, /^it cannot be read: /],
    [
      { ca: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
      /^it cannot be read/,
    ],
    [{ key: "x" }, /^it cannot be read: /],
    [{ cert: issued.cert.replace(/M/g, "N") }, /^it cannot be read|^its key/],
  ];
  for (const [changes, why, now, names] of cases) {
    const found = state(changes, now, names);
    assert.ok(found.is === "unusable", JSON.stringify(changes));
    assert.match(found.why, why);
  }
  const { cert, key } = selfSigned(NAMES, NOW);
  assert.equal(stateOf({ ca: cert, cert, key }, { names: NAMES, now: NOW }).is, "unusable");
});
