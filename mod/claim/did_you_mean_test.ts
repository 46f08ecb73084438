import assert from "node:assert/strict";
import { didYouMean, nearest } from "./did_you_mean.ts";

Deno.test("nearest() finds what a typo means, and nothing for another word", () => {
  const known = ["try", "master", "mode", "mtu", "mac", "dra.networking", "resourceClaimName"];
  const cases: Record<string, string | undefined> = {
    mater: "master",
    mster: "master",
    matser: "master",
    Master: "master",
    masters: "master",
    mut: "mtu",
    trie: "try",
    "dra.networkin": "dra.networking",
    resourceclaimname: "resourceClaimName",
    master: undefined,
    vlan: undefined,
    mx: undefined,
    fly: undefined,
    "": undefined,
    "gpu.example.com": undefined,
  };
  for (const [word, meant] of Object.entries(cases)) {
    assert.equal(nearest(word, known), meant, word);
  }
  assert.equal(didYouMean("mater", known), ' (did you mean "master"?)');
  assert.equal(didYouMean("vlan", known), "");
});
