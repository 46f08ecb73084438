import assert from "node:assert/strict";
import { SCENES } from "../../../tests/support/cluster_scenes.ts";
import { seenOf } from "../../../tests/support/doctor_scene.ts";
import { checkClaims } from "./claims.ts";

const named = (name: string) => SCENES.find((scene) => scene.name === name)!.cluster;

Deno.test("checkClaims() finds nothing where all have their networks", async () => {
  const { findings, unknown, well } = checkClaims(await seenOf({ cluster: named("healthy") }));
  assert.deepEqual([findings, unknown], [[], []]);
  assert.equal(well, "nothing is wrong with 1 claim");
});

for (const name of ["missing plugin", "exhausted addresses", "refused by policy"]) {
  Deno.test(`checkClaims() names the fault of a claim: ${name}`, async () => {
    const { says } = SCENES.find((scene) => scene.name === name)!;
    const { findings } = checkClaims(await seenOf({ cluster: named(name) }));
    assert.deepEqual(findings.map(({ level, where }) => [level, where]), [
      ["error", "claim default/lan"],
    ]);
    const [, message = ""] = says!.source.match(/\.\*(.*)$/) ?? [, says!.source.split(": ")[0]];
    assert.match(findings[0]!.what, new RegExp(message));
  });
}

Deno.test("checkClaims() does not call claims well that it could not read", async () => {
  const { findings, unknown, well } = checkClaims(
    await seenOf({ forbidden: ["resourceclaims"] }),
  );
  assert.deepEqual([findings, well], [[], undefined]);
  assert.equal(unknown[0]?.what, "claims");
});
