import assert from "node:assert/strict";
import { seenOf } from "../../../tests/support/doctor_scene.ts";
import { checkApi } from "./api.ts";

Deno.test("checkApi() finds nothing where the API and the gates are there", async () => {
  assert.deepEqual(checkApi(await seenOf()), {
    findings: [],
    unknown: [],
    well: "Kubernetes v1.36.2 serves resource.k8s.io/v1, with the feature gates that are needed",
  });
});

Deno.test("checkApi() names an API that is too old, and gates that are off", async () => {
  const { findings: [old] } = checkApi(
    await seenOf({ version: "v1.33.1", resourceVersions: ["v1beta1", "v1beta2"] }),
  );
  assert.equal(old?.level, "error");
  assert.match(
    old?.what ?? "",
    /v1\.33\.1 does not serve resource\.k8s\.io\/v1, only v1beta1, v1b/,
  );
  const off = { DynamicResourceAllocation: false, DRAConsumableCapacity: false };
  const { findings } = checkApi(await seenOf({ gates: off }));
  assert.deepEqual(findings.map(({ level }) => level), ["error", "note"]);
  assert.match(findings[1]!.what, /16 numbered copies/);
});

Deno.test("checkApi() says what it could not look at", async () => {
  const { unknown, well } = checkApi(
    await seenOf({ forbidden: ["metrics", "events", "version"] }),
  );
  assert.deepEqual(unknown.map(({ what }) => what), [
    "the API server's version",
    "the feature gates of the API server",
    "objects of the kind Event",
  ]);
  assert.equal(well, undefined);
});
