import assert from "node:assert/strict";
import { rawCluster, rawNode, rawPod } from "../../../tests/support/cluster_objects.ts";
import { anAgentDocument, seenOf } from "../../../tests/support/doctor_scene.ts";
import { checkRuntimes } from "./runtimes.ts";

/** A cluster before the driver is installed. */
const bare = (runtime: string) => ({
  ...rawCluster({
    nodes: [rawNode("node-1", { runtime })],
    resourceslices: [],
    deviceclasses: [],
  }),
  pods: [],
});
const preflight = async (runtime: string) =>
  checkRuntimes(await seenOf({ cluster: bare(runtime) }));

Deno.test("checkRuntimes() finds nothing where agents are connected, or the versions have both on", async () => {
  const { findings, unknown, well } = checkRuntimes(await seenOf());
  assert.deepEqual([findings, unknown], [[], []]);
  assert.match(well!, /NRI and CDI turned on/);
  for (const runtime of ["containerd://2.0.5-k3s1", "cri-o://1.34.0"]) {
    const found = await preflight(runtime);
    assert.deepEqual([found.findings, found.unknown], [[], []], runtime);
  }
});

Deno.test("checkRuntimes() names runtimes without NRI", async () => {
  for (const runtime of ["containerd://1.6.30", "cri-o://1.25.1", "docker://28.1.0"]) {
    const { findings: [found] } = await preflight(runtime);
    assert.equal(found?.level, "error", runtime);
    assert.match(found!.what, new RegExp(`^${runtime} has no NRI`));
  }
});

Deno.test("checkRuntimes() tells what an agent says of NRI, whatever the version", async () => {
  const document = anAgentDocument("node-1");
  const [agent] = document.agents;
  const needs = [{ name: "NRI", ok: false, says: "no socket (for 5s)" }];
  const documents = {
    "node-1": { ...document, agents: [{ ...agent!, needs }] },
    "node-2": anAgentDocument("node-2"),
  };
  const { findings } = checkRuntimes(await seenOf({ documents }));
  assert.equal(findings.length, 1);
  assert.match(findings[0]!.what, /^containerd:\/\/2\.1\.4: .*no connection by NRI: no socket/);
});

Deno.test("checkRuntimes() sees by pods that CDI is off", async () => {
  const waiting = {
    reason: "CreateContainerError",
    message: "CDI device injection failed: unresolvable CDI devices k8s.dra.networking/claim=x",
  };
  const claims = [{ name: "lan", resourceClaimName: "lan" }];
  const cluster = rawCluster({ pods: [rawPod("web", { node: "node-2", claims, waiting })] });
  const { findings: [found] } = checkRuntimes(await seenOf({ cluster }));
  assert.equal(found?.where, "node node-2");
  assert.match(found!.what, /resolves no CDI devices, such as those of pod default\/web/);
});

Deno.test("checkRuntimes() says what it does not know", async () => {
  const says = async (runtime: string) => (await preflight(runtime)).unknown[0]!.why;
  assert.match(await says("containerd://1.7.30"), /both turned off unless its configuration turns/);
  assert.match(await says("rkt://1.0"), /it is not known of rkt/);
  const { unknown, well } = checkRuntimes(await seenOf({ forbidden: ["nodes", "exec"] }));
  assert.match(unknown[0]!.what, /NRI and CDI on nodes node-1, node-2/);
  assert.equal(well, undefined);
});
