/** What the agent's ServiceAccount may do. */
import assert from "node:assert/strict";
import { type Api, ApiError, type Json } from "../api.ts";
import { claim, DRIVER, pod } from "../objects.ts";
import type { Case } from "../space.ts";

const OTHER_NODE = "node-2";

async function writeStatus(api: Api, found: Json): Promise<number> {
  const { namespace, name } = found.metadata;
  const [{ driver, pool, device, shareID }] = found.status.allocation.devices.results;
  const path = `/apis/resource.k8s.io/v1/namespaces/${namespace}/resourceclaims/${name}/status`;
  try {
    await api.request("PATCH", `${path}?fieldManager=${DRIVER}-other&force=true`, {
      apiVersion: "resource.k8s.io/v1",
      kind: "ResourceClaim",
      metadata: { name, namespace },
      status: { devices: [{ driver, pool, device, shareID, data: { written: "by another" } }] },
    }, "application/apply-patch+yaml");
    return 200;
  } catch (error) {
    if (error instanceof ApiError) return error.status;
    throw error;
  }
}

async function statusOf(request: Promise<unknown>): Promise<number> {
  try {
    await request;
    return 200;
  } catch (error) {
    if (error instanceof ApiError) return error.status;
    throw error;
  }
}

export const RIGHTS: Readonly<Record<string, Case>> = {
  "a claim's status can be written by its own node's agent only": async (space) => {
    const { cluster } = space;
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), pod("one", { claims: ["lan"] }));
    const { claim: found } = await space.assertNetwork(await space.running("one"), { subnet: 1 });
    await cluster.api.apply({
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: OTHER_NODE },
      spec: { unschedulable: true },
    });
    const other = await cluster.apiAsAgentOn(OTHER_NODE);
    try {
      // That it knows who asks, and refuses this only, is seen by what it answers.
      assert.equal((await other.get({ kind: "Node", name: OTHER_NODE })).kind, "Node");
      assert.equal(await writeStatus(other, found), 422);
    } finally {
      other.close();
      await cluster.api.delete({ kind: "Node", name: OTHER_NODE });
    }
  },

  "the agent can neither read pods nor delete claims": async (space) => {
    const agent = await space.cluster.apiAsAgentOn("node-1");
    const { namespace } = space;
    try {
      assert.equal(await statusOf(agent.list({ kind: "Pod", namespace })), 403);
      assert.equal(await statusOf(agent.list({ kind: "ResourceClaim", namespace })), 403);
      const claims = { kind: "ResourceClaim", name: "lan", namespace };
      assert.equal(await statusOf(agent.delete(claims)), 403);
    } finally {
      agent.close();
    }
  },
};
