import assert from "node:assert/strict";
import { rawCluster, rawNode } from "../../tests/support/cluster_objects.ts";
import {
  type DoctorScene,
  faultyScene,
  rawLease,
  seenOf,
} from "../../tests/support/doctor_scene.ts";
import { byLevel, examine, verdictOf } from "./doctor.ts";
import { CHECKS } from "./finding.ts";

const verdicts = async (scene: Partial<DoctorScene>) =>
  Object.fromEntries(
    examine(await seenOf(scene), "0.1.0").map((each) => [each.check, verdictOf([each])]),
  );

Deno.test("examine() carries out every check, in order", async () => {
  const checks = examine(await seenOf(), "0.1.0");
  assert.deepEqual(checks.map(({ check }) => check), [...CHECKS]);
  assert.ok(checks.every(({ well }) => well !== undefined));
  assert.equal(verdictOf(checks), "well");
});

Deno.test("no check calls well what nobody could look at", async () => {
  const plurals = Object.keys(rawCluster());
  const others = ["exec", "version", "metrics", "leases", "validatingadmissionpolicies"];
  const found = await verdicts({ forbidden: [...plurals, ...others, "subjectaccessreviews"] });
  assert.deepEqual(new Set(Object.values(found)), new Set(["unknown"]), JSON.stringify(found));
});

Deno.test("no check calls agents well that cannot be asked and are not seen", async () => {
  const found = await verdicts({
    cluster: { ...rawCluster(), pods: [] },
    forbidden: ["version", "metrics", "leases", "nodes"],
  });
  for (
    const check of ["rights", "admission", "agents", "versions", "runtimes", "policy", "records"]
  ) {
    assert.equal(found[check], "unknown", check);
  }
});

Deno.test("a node without an agent is known to have none, and is no fault", async () => {
  const cluster = rawCluster({ nodes: ["node-1", "node-2", "edge"].map((name) => rawNode(name)) });
  const leases = ["node-1", "node-2", "edge"].map((name) => rawLease(name));
  const checks = examine(await seenOf({ cluster, leases }, { node: "edge" }), "0.1.0");
  assert.deepEqual(checks.flatMap(({ unknown }) => unknown), []);
  assert.deepEqual(checks.flatMap(({ findings }) => findings.map(({ level }) => level)), ["note"]);
});

Deno.test("each fault of a faulty cluster is found by its check", async () => {
  const found = await verdicts(faultyScene());
  const wrong = Object.entries(found).filter(([, verdict]) => verdict === "wrong");
  assert.deepEqual(wrong.map(([check]) => check), [
    "admission",
    "runtimes",
    "plugins",
    "mtu",
    "clocks",
  ]);
  assert.equal(found.api, "unknown");
});

Deno.test("byLevel() gives errors first", () => {
  const levels = byLevel([{ level: "note" }, { level: "warning" }, { level: "error" }] as const);
  assert.deepEqual(levels.map(({ level }) => level), ["error", "warning", "note"]);
});
