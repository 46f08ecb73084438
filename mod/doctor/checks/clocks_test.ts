import assert from "node:assert/strict";
import { NOW } from "../../../tests/support/cluster_source.ts";
import { rawLease, seenOf } from "../../../tests/support/doctor_scene.ts";
import { checkClocks } from "./clocks.ts";

Deno.test("checkClocks() finds nothing where clocks agree", async () => {
  const { findings, unknown, well } = checkClocks(await seenOf());
  assert.deepEqual([findings, unknown], [[], []]);
  assert.equal(well, "clocks agree");
});

Deno.test("checkClocks() names clocks that are ahead or behind", async () => {
  const leases = [rawLease("node-1", 90), rawLease("node-2", -17)];
  const { findings } = checkClocks(await seenOf({ leases }));
  assert.deepEqual(findings.map(({ where }) => where), ["node node-1", "node node-2"]);
  assert.match(findings[0]!.what, /its clock is 90 s ahead of that of the API server/);
  assert.match(findings[1]!.what, /its clock is 17 s behind/);
  assert.equal(checkClocks(await seenOf({ leases }, { node: "node-2" })).findings.length, 1);
});

Deno.test("checkClocks() takes a lease that was written slowly for no clock that is behind", async () => {
  const leases = [rawLease("node-1"), rawLease("node-2", -12)];
  assert.deepEqual(checkClocks(await seenOf({ leases })).findings, []);
});

Deno.test("checkClocks() names this machine's", async () => {
  const now = () => new Date(NOW.getTime() - 3_599_500);
  const { findings: [found] } = checkClocks(await seenOf({}, { now }));
  assert.equal(found?.where, "this machine");
  assert.match(found!.what, /its clock is 3600 s behind/);
});

Deno.test("checkClocks() says whose clock it does not know", async () => {
  const silent = { metadata: { name: "node-2" }, spec: { renewTime: "2026-11-30T10:00:00Z" } };
  const { unknown, well } = checkClocks(await seenOf({ leases: [rawLease("node-1"), silent] }));
  assert.deepEqual(unknown.map(({ what }) => what), ["the clock of node node-2"]);
  assert.ok(well);
  const none = checkClocks(await seenOf({ forbidden: ["leases", "version"] }));
  assert.deepEqual(none.unknown.map(({ what }) => what), [
    "the clock of this machine",
    "the clocks of nodes",
  ]);
  assert.equal(none.well, undefined);
});
