/** What the agent's ServiceAccount may do. */
import assert from "node:assert/strict";
import type { Api, Json } from "../api.ts";
import { NODE } from "../cluster.ts";
import { claim, pod } from "../objects.ts";
import type { Case } from "../space.ts";

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
      await assert.rejects(
        writeStatus(other, found),
        /changing status\.devices requires .*arbitrary-node:patch/,
      );
    } finally {
      other.close();
      await cluster.api.delete({ kind: "Node", name: OTHER_NODE });
    }
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
