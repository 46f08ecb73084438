import assert from "node:assert/strict";
import { rawAgentPod, rawCluster, rawNode } from "../../../tests/support/cluster_objects.ts";
import { seenOf } from "../../../tests/support/doctor_scene.ts";
import { checkVersions } from "./versions.ts";

const kubelets = (...versions: string[]) =>
  rawCluster({ nodes: versions.map((kubelet, i) => rawNode(`node-${i + 1}`, { kubelet })) });

Deno.test("checkVersions() finds nothing where versions fit", async () => {
  const { findings, unknown, well } = checkVersions(await seenOf(), "0.1.0");
  assert.deepEqual([findings, unknown], [[], []]);
  assert.match(well!, /fit one another/);
  const older = await seenOf({ version: "v1.37.0", cluster: kubelets("v1.34.0", "v1.37.1") });
  assert.deepEqual(checkVersions(older, "0.1.0").findings, []);
});

Deno.test("checkVersions() names agents of several versions, and a program of another one", async () => {
  const cluster = {
    ...rawCluster(),
    pods: [rawAgentPod("node-1"), rawAgentPod("node-2", { version: "0.2.0" })],
  };
  const { findings } = checkVersions(await seenOf({ cluster }), "0.3.0");
  assert.deepEqual(findings.map(({ level }) => level), ["warning", "note"]);
  assert.match(findings[0]!.what, /several versions run: 0\.1\.0, 0\.2\.0/);
  assert.match(findings[1]!.what, /it is version 0\.3\.0, and agents have the version 0\.1\.0/);
});

Deno.test("checkVersions() names kubelets that do not fit", async () => {
  const cluster = kubelets("v1.33.4", "v1.37.0");
  const { findings } = checkVersions(await seenOf({ cluster }), "0.1.0");
  assert.deepEqual(findings.map(({ level, where }) => [level, where]), [
    ["error", "node node-1"],
    ["warning", "node node-2"],
  ]);
  assert.match(findings[1]!.what, /newer than the API server \(1\.36\)/);
  const old = await seenOf({ version: "v1.40.1", cluster: kubelets("v1.34.0", "v1.40.0") });
  assert.match(checkVersions(old, "0.1.0").findings[0]!.what, /too old for the API server/);
});

Deno.test("checkVersions() says whose version it does not know", async () => {
  const { unknown, well } = checkVersions(await seenOf({ forbidden: ["nodes"] }), "0.1.0");
  assert.deepEqual(unknown.map(({ what }) => what), [
    "the kubelet's version on nodes node-1, node-2",
  ]);
  assert.equal(well, undefined);
});

Deno.test("checkVersions() names kubelets whose gates are off, and says where it may not look", async () => {
  const kubeletGates = { DynamicResourceAllocation: false, SomethingElse: false };
  const { findings } = checkVersions(await seenOf({ kubeletGates }), "0.1.0");
  assert.deepEqual(findings.map(({ level, where }) => [level, where]), [
    ["error", "node node-1"],
    ["error", "node node-2"],
  ]);
  assert.match(
    findings[0]!.what,
    /DynamicResourceAllocation of the kubelet is off: pods with claims/,
  );
  assert.match(findings[0]!.whatToDo, /kubelet's configuration, and restart it/);
  const { unknown } = checkVersions(await seenOf({ forbidden: ["configz"] }), "0.1.0");
  assert.deepEqual(unknown.map(({ what }) => what), [
    "the feature gates of the kubelet on nodes node-1, node-2",
  ]);
});
