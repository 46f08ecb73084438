/** What the agent's ServiceAccount may do. */
import assert from "node:assert/strict";
import type { Api, Json, Manifest } from "../api.ts";
import { NODE } from "../cluster.ts";
import { claim, pod } from "../objects.ts";
import type { Case, Space } from "../space.ts";

const OTHER_NODE = "node-2";

/** Tries to write the status of a claim's first device. */
async function writeStatus(api: Api, found: Json): Promise<void> {
  const { namespace, name } = found.metadata;
  const [{ driver, pool, device, shareID }] = found.status.allocation.devices.results;
  const path = `/apis/resource.k8s.io/v1/namespaces/${namespace}/resourceclaims/${name}/status`;
  await api.request("PATCH", `${path}?fieldManager=another&force=true`, {
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceClaim",
    metadata: { name, namespace },
    status: { devices: [{ driver, pool, device, shareID, data: { written: "by another" } }] },
  }, "application/apply-patch+yaml");
}

function sliceWith(spec: unknown): Manifest {
  const metadata = { name: "another" };
  return { apiVersion: "resource.k8s.io/v1", kind: "ResourceSlice", metadata, spec };
}

/** Does something as the agent on a second node, which is there meanwhile. */
async function asOtherNode({ cluster }: Space, body: (other: Api) => Promise<void>) {
  await cluster.api.apply({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: OTHER_NODE },
    spec: { unschedulable: true },
  });
  const other = await cluster.apiAsAgentOn(OTHER_NODE);
  try {
    await body(other);
  } finally {
    other.close();
    await cluster.api.delete({ kind: "Node", name: OTHER_NODE });
  }
}

export const RIGHTS: Readonly<Record<string, Case>> = {
  "a claim's status can be written by its own node's agent only": async (space) => {
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), pod("one", { claims: ["lan"] }));
    const { claim: found } = await space.assertNetwork(await space.running("one"), { subnet: 1 });
    await asOtherNode(space, async (other) => {
      await assert.rejects(
        writeStatus(other, found),
        /changing status\.devices requires .*arbitrary-node:patch/,
      );
    });
  },

  "a node's slices can be written by its own agent only": async (space) => {
    const [slice] = await space.cluster.slices();
    await asOtherNode(space, async (other) => {
      const refused = /the agent of node node-2 may not change slices of node/;
      await assert.rejects(
        other.delete({ kind: "ResourceSlice", name: slice.metadata.name }),
        refused,
      );
      await assert.rejects(other.apply(sliceWith(slice.spec)), refused);
      const pool = { ...slice.spec.pool, name: OTHER_NODE };
      await other.apply(sliceWith({ ...slice.spec, nodeName: OTHER_NODE, pool }));
      await other.delete({ kind: "ResourceSlice", name: "another" });
    });
  },

  "the agent can neither read pods nor delete claims": async (space) => {
    const agent = await space.cluster.apiAsAgentOn(NODE);
    const { namespace } = space;
    try {
      const refused = { name: "ApiError", status: 403 };
      await assert.rejects(agent.list({ kind: "Pod", namespace }), refused);
      await assert.rejects(agent.list({ kind: "ResourceClaim", namespace }), refused);
      const ref = { kind: "ResourceClaim", name: "lan", namespace };
      await assert.rejects(agent.delete(ref), refused);
    } finally {
      agent.close();
    }
  },
};
