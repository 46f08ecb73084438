import assert from "node:assert/strict";
import { issueCertificate } from "./issued.ts";
import { authoritiesIn, bundleOf } from "./trust_bundle.ts";

const ca = () => issueCertificate(["a.svc"], new Date()).ca;

Deno.test("authoritiesIn() finds each authority once, however it is spelled, and no rubbish", () => {
  const [one, two] = [ca(), ca()];
  const spelled = `subject=x\n${one.replaceAll("\n", "\r\n")}\r\nbetween ${two}`;
  assert.deepEqual(authoritiesIn([spelled, two, one]), [one, two]);
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
  assert.deepEqual(authoritiesIn(["", "rubbish", `${broken}\n${one}`]), [one]);
});

Deno.test("bundleOf() keeps the first eight", () => {
  const all = Array.from({ length: 9 }, ca);
  assert.equal(bundleOf(all), all.slice(0, 8).join(""));
});
