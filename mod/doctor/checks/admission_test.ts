import assert from "node:assert/strict";
import { rawBinding, rawPolicy, seenOf } from "../../../tests/support/doctor_scene.ts";
import { checkAdmission } from "./admission.ts";

Deno.test("checkAdmission() finds nothing where the chart's policies are in force", async () => {
  const { findings, unknown, well } = checkAdmission(await seenOf());
  assert.deepEqual([findings, unknown], [[], []]);
  assert.equal(well, "policies keep each agent to its own node");
});

Deno.test("checkAdmission() names a policy that is missing, or not in force", async () => {
  const none = checkAdmission(await seenOf({ policies: [], bindings: [] }));
  assert.deepEqual(none.findings.map(({ level, where }) => [level, where]), [
    ["warning", "cluster"],
    ["warning", "cluster"],
  ]);
  assert.match(none.findings[0]!.what, /no ValidatingAdmissionPolicy keeps the resourceslices of/);
  const loose = checkAdmission(
    await seenOf({
      bindings: [rawBinding("network-dra", ["Audit"]), rawBinding("network-dra-events")],
    }),
  );
  assert.deepEqual(loose.findings.map(({ where }) => where), [
    "ValidatingAdmissionPolicy network-dra",
  ]);
  assert.match(loose.findings[0]!.what, /no binding with the action Deny .*devices on all nodes/);
});

Deno.test("checkAdmission() takes policies of other names for the same account", async () => {
  const names = ["own-slices", "own-events"];
  const { findings } = checkAdmission(
    await seenOf({
      policies: [rawPolicy(names[0]!, "resourceslices"), rawPolicy(names[1]!, "events")],
      bindings: names.map((name) => rawBinding(name)),
    }),
  );
  assert.deepEqual(findings, []);
});

Deno.test("checkAdmission() says what it could not look at", async () => {
  const { findings, unknown, well } = checkAdmission(
    await seenOf({ forbidden: ["validatingadmissionpolicies"] }),
  );
  assert.deepEqual([findings, well], [[], undefined]);
  assert.match(unknown[0]!.why, /you have no right/);
});
