import assert from "node:assert/strict";
import { rawCluster } from "../../../tests/support/cluster_objects.ts";
import { seenOf } from "../../../tests/support/doctor_scene.ts";
import { checkRights } from "./rights.ts";

const BARE = { ...rawCluster({ resourceslices: [], deviceclasses: [] }), pods: [] };

Deno.test("checkRights() finds nothing where the agents have their rights", async () => {
  const { findings, unknown, well } = checkRights(await seenOf());
  assert.deepEqual([findings, unknown], [[], []]);
  assert.equal(well, "the agents have all rights that they need");
});

Deno.test("checkRights() names the rights that the agents lack, and what fails without them", async () => {
  const denied = ["patch resourceclaims/status", "update resourceclaims/status", "get nodes"];
  const { findings } = checkRights(await seenOf({ denied }));
  assert.deepEqual(
    findings.map(({ level, where, what }) => `${level} ${where}: ${what}`),
    [
      "error ServiceAccount kube-system/network-dra: it may not get nodes, so that the agents cannot " +
      "own the slices of its node",
      "error ServiceAccount kube-system/network-dra: it may not patch resourceclaims/status, update " +
      "resourceclaims/status, so that the agents cannot write the status of claims",
    ],
  );
});

Deno.test("checkRights() asks for the rights on the status that Kubernetes 1.36 brought, from then on", async () => {
  const denied = ["associated-node:patch resourceclaims/driver dra.networking"];
  assert.equal(checkRights(await seenOf({ denied })).findings.length, 1);
  assert.deepEqual(checkRights(await seenOf({ denied, version: "v1.35.3" })).findings, []);
});

Deno.test("checkRights() says whose rights it does not know", async () => {
  const { findings, unknown, well } = checkRights(
    await seenOf({ forbidden: ["subjectaccessreviews"] }),
  );
  assert.deepEqual([findings, well], [[], undefined]);
  assert.match(unknown[0]!.what, /rights of ServiceAccount kube-system\/network-dra/);
  const process = checkRights(await seenOf({ cluster: { ...rawCluster(), pods: [] } }));
  assert.match(process.unknown[0]!.why, /as whom they ask the API server, on nodes node-1, node-2/);
});

Deno.test("checkRights() looks at the user's rights before the driver is installed", async () => {
  assert.match(checkRights(await seenOf({ cluster: BARE })).well!, /install the chart/);
  const denied = ["create daemonsets in kube-system", "create clusterroles"];
  const { findings } = checkRights(await seenOf({ cluster: BARE, denied }));
  assert.deepEqual(findings.map(({ level }) => level), ["warning", "warning"]);
  assert.match(findings[0]!.what, /you may not create daemonsets in kube-system, which the chart/);
  const { unknown } = checkRights(
    await seenOf({ cluster: BARE, forbidden: ["selfsubjectaccessreviews"] }),
  );
  assert.equal(unknown[0]?.what, "your rights to install the driver");
});
