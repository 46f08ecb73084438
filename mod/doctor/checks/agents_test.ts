import assert from "node:assert/strict";
import {
  rawAgentPod,
  rawCluster,
  rawNode,
  rawSlice,
} from "../../../tests/support/cluster_objects.ts";
import { anAgentDocument, seenOf } from "../../../tests/support/doctor_scene.ts";
import { checkAgents } from "./agents.ts";

const agents = (...pods: Record<string, unknown>[]) => ({ ...rawCluster(), pods });

Deno.test("checkAgents() finds nothing where the agents are ready and have what they need", async () => {
  assert.deepEqual(checkAgents(await seenOf()), {
    findings: [],
    unknown: [],
    well: "2 ready, with their devices published; 2 of 2 have told what they need",
  });
});

Deno.test("checkAgents() names agents that are not ready, restart, or publish nothing", async () => {
  const cluster = {
    ...agents(
      rawAgentPod("node-1", { ready: false, waiting: { reason: "CrashLoopBackOff" } }),
      rawAgentPod("node-2", { restarts: 5 }),
    ),
    resourceslices: [rawSlice("node-1")],
  };
  const { findings } = checkAgents(await seenOf({ cluster }));
  assert.deepEqual(findings.map(({ level, where }) => `${level} ${where}`), [
    "error node node-1",
    "error node node-2",
    "warning node node-2",
  ]);
  assert.match(findings[0]!.what, /is not ready: CrashLoopBackOff/);
  assert.match(findings[1]!.what, /the node has no ResourceSlice/);
  assert.match(findings[2]!.what, /restarted 5 times/);
});

Deno.test("checkAgents() tells what an agent says that it lacks", async () => {
  const needs = [{ name: "kubelet", ok: false, says: "not registered by the kubelet (for 5m0s)" }];
  const documents = {
    "node-1": anAgentDocument("node-1", { needs }),
    "node-2": anAgentDocument("node-2", { source: "records", agents: [] }),
  };
  const { findings } = checkAgents(await seenOf({ documents }));
  assert.match(findings[0]!.what, /lacks something: kubelet: not registered/);
  assert.match(findings[1]!.what, /only its records are known/);
  assert.deepEqual(findings.map(({ where }) => where), ["node node-1", "node node-2"]);
});

Deno.test("checkAgents() names a pool of which slices are missing", async () => {
  const [whole, part] = [rawSlice("node-1"), rawSlice("node-2")];
  const spec = part.spec as { pool: object };
  const pool = { ...spec.pool, resourceSliceCount: 2 };
  const resourceslices = [whole, { ...part, spec: { ...spec, pool } }];
  const { findings: [found] } = checkAgents(
    await seenOf({ cluster: rawCluster({ resourceslices }) }),
  );
  assert.match(found!.what, /only 1 of 2 ResourceSlices of the pool node-2/);
});

Deno.test("checkAgents() notes nodes without an agent where others have one", async () => {
  const cluster = rawCluster({ nodes: ["node-1", "node-2", "edge"].map((name) => rawNode(name)) });
  const { findings } = checkAgents(await seenOf({ cluster }));
  assert.deepEqual(findings.map(({ level, where }) => [level, where]), [["note", "node edge"]]);
});

Deno.test("checkAgents() says which agents tell nothing, once for each cause", async () => {
  const forbidden = checkAgents(await seenOf({ forbidden: ["exec"] }));
  assert.deepEqual(forbidden.unknown.map(({ what }) => what), [
    "what the agent says of nodes node-1, node-2",
  ]);
  const older = checkAgents(
    await seenOf({
      documents: { "node-1": anAgentDocument("node-1"), "node-2": 'unknown command "status"' },
    }),
  );
  assert.match(older.unknown[0]!.why, /network-dra-node-2 is of an earlier release/);
  assert.match(older.well!, /1 of 2 have told/);
  const process = checkAgents(await seenOf({ cluster: agents() }));
  assert.match(process.unknown[0]!.what, /^the agent of nodes node-1, node-2$/);
});

Deno.test("checkAgents() says that the driver is not there", async () => {
  const cluster = { ...rawCluster({ resourceslices: [] }), pods: [] };
  const { findings, well } = checkAgents(await seenOf({ cluster }));
  assert.match(findings[0]!.what, /no agent runs, and no node has devices/);
  assert.equal(findings[0]!.level, "error");
  assert.equal(well, undefined);
  // Before the chart is installed, nobody has a class of it.
  const before = checkAgents(await seenOf({ cluster: { ...cluster, deviceclasses: [] } }));
  assert.deepEqual(before.findings.map(({ level }) => level), ["note"]);
});
