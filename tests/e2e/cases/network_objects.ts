/** Networks of the cluster that claims name. */
import assert from "node:assert/strict";
import { macvlan } from "../../support/claims.ts";
import { ApiError, type Manifest } from "../api.ts";
import { NODE } from "../cluster.ts";
import { claim, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case } from "../space.ts";
import { refuses } from "./rights.ts";

const NAME = "e2e-lan";

function network(subnet: number, more: Readonly<Record<string, unknown>> = {}): Manifest {
  return {
    apiVersion: "dra.networking/v1alpha1",
    kind: "Network",
    metadata: { name: NAME },
    spec: { config: macvlan({ name: NAME, subnet }), ...more },
  };
}

/** A claim that names it. */
function naming(name: string): Manifest {
  const parameters = {
    apiVersion: "dra.networking/v1alpha1",
    kind: "Network",
    networkName: NAME,
  };
  return claim(name, [{ name: "lan", subnet: 0, parameters }]);
}

function onlyFor(namespace: string) {
  return { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } } };
}

/** Wrong specs, with what the API server says. */
const REFUSED: Readonly<Record<string, readonly [unknown, RegExp]>> = {
  "no configuration": [{}, /spec\.config: Required value/],
  "another name": [
    { config: { name: "other", type: "macvlan" } },
    /spec\.config\.name must be the name of the object, e2e-lan; or leave it out/,
  ],
  "a list and one plugin": [
    { config: { type: "macvlan", plugins: [{ type: "tuning" }] } },
    /must have either plugins \(a network list\) or type \(a single plugin\)/,
  ],
  "a path": [{ config: { type: "../sh" } }, /spec\.config\.type: Invalid value/],
  "an MTU that is too small": [
    { config: { type: "macvlan" }, mtu: 12 },
    /spec\.mtu: Invalid value/,
  ],
  "a subnet with host bits": [
    { config: { type: "macvlan" }, addresses: { pools: [{ subnet: "10.38.0.5/24" }] } },
    /spec\.addresses\.pools\[0\]: .* subnet must be a CIDR without host bits/,
  ],
  "a gateway outside of the subnet": [
    {
      config: { type: "macvlan" },
      addresses: { pools: [{ subnet: "10.38.0.0/24", gateway: "10.39.0.1" }] },
    },
    /spec\.addresses\.pools\[0\]: .* gateway must be an address inside the subnet/,
  ],
  "an address that is reserved twice": [
    {
      config: { type: "macvlan" },
      addresses: {
        pools: [{ subnet: "10.38.0.0/24" }],
        reserved: ["a", "b"].map((namespace) => ({ address: "10.38.0.9", namespace })),
      },
    },
    /spec\.addresses\.reserved\[1\]: Duplicate value/,
  ],
  "the pod's own interface": [
    { config: { type: "macvlan" }, interfaceName: "eth0" },
    /spec\.interfaceName: Invalid value: .* is an interface that the pod already has/,
  ],
};

export const NETWORK_OBJECTS: Readonly<Record<string, Case>> = {
  "a claim names a Network of the cluster, as it is when the claim is prepared": async (space) => {
    await space.apply(network(31), naming("one"), pod("one", { claims: ["one"] }));
    const one = await space.running("one");
    await space.assertNetwork(one, { subnet: 31 });
    // What is attached stays as it is.
    await space.apply(network(32), naming("two"), pod("two", { claims: ["two"] }));
    await space.assertNetwork(await space.running("two"), { subnet: 32 });
    await space.assertNetwork(one, { subnet: 31 });
  },

  "a Network that is not for a pod's namespace: an event says so, until it is": async (space) => {
    await space.apply(network(33, onlyFor("elsewhere")), naming("one"));
    await space.apply(pod("one", { claims: ["one"] }));
    await space.assertEvent("one", /Network e2e-lan is not for claims in namespace /);
    await space.apply(network(33, onlyFor(space.namespace)));
    // The kubelet prepares it again after a while.
    await space.assertNetwork(await space.running("one", { limit: 180_000 }), { subnet: 33 });
  },

  "the API server refuses Networks that the agent would refuse": async (space) => {
    const { api } = space.cluster;
    const wrong: string[] = [];
    for (const [what, [spec, says]] of Object.entries(REFUSED)) {
      const { metadata, ...rest } = network(34);
      const path = "/apis/dra.networking/v1alpha1/networks?dryRun=All";
      const said = await api.request("POST", path, { ...rest, metadata, spec }).then(
        () => "taken",
        (error: unknown) => {
          assert.ok(error instanceof ApiError, String(error));
          return error.message;
        },
      );
      if (!says.test(said)) wrong.push(`${what}: ${said}`);
    }
    assert.deepEqual(wrong, []);
    await space.apply(network(34));
    await until("the Network is there", () => api.get({ kind: "Network", name: NAME }));
  },

  "the API server refuses addresses that an agent takes for another node, or from another pod":
    async ({ cluster }) => {
      const path = "/apis/dra.networking/v1alpha1/networkaddresses";
      const agent = await cluster.apiAsAgentOn(NODE);
      try {
        const mine = addressOf(NODE);
        const name = mine.metadata.name;
        const { metadata } = await agent.request("POST", path, mine);
        const { resourceVersion } = metadata;
        const change = (more: Readonly<Record<string, unknown>>) => () =>
          agent.request("PUT", `${path}/${name}`, {
            ...mine,
            metadata: { name, resourceVersion },
            spec: { ...mine.spec, ...more },
          });
        await refuses({
          "for another node": [
            () => agent.request("POST", path, addressOf("node-2")),
            /may not take addresses for node \\"node-2\\"/,
          ],
          "from another pod": [
            change({ containerID: "another" }),
            /an address that an attachment has cannot become another's/,
          ],
          "another address": [change({ address: "10.38.0.6" }), /of an object do not change/],
          "in another notation": [
            () => agent.request("POST", path, addressOf(NODE, "fd00:0::5")),
            /must be an IP address in canonical notation/,
          ],
        });
        await assert.rejects(agent.request("POST", path, mine), /already exists/);
        const keptUntil = new Date(Date.now() + 60_000).toISOString();
        const kept = await change({ keptUntil })();
        const taken = { ...mine.spec, containerID: "another" };
        await agent.request("PUT", `${path}/${name}`, {
          ...mine,
          metadata: { name, resourceVersion: kept.metadata.resourceVersion },
          spec: taken,
        });
        await agent.request("DELETE", `${path}/${name}`);
      } finally {
        agent.close();
      }
    },
};

function addressOf(node: string, address = "10.38.0.5") {
  const owner = { namespace: "default", name: "a", uid: crypto.randomUUID() };
  const name = `${NAME}.${address.replaceAll(/[.:]+/g, "-")}`;
  return {
    apiVersion: "dra.networking/v1alpha1",
    kind: "NetworkAddress",
    metadata: { name },
    spec: {
      ...{ network: NAME, address, node, claim: owner, pod: owner },
      ...{ containerID: "sandbox", ifName: "net1" },
    },
  };
}
