/** Addresses that pods of the whole cluster share, on two nodes. */
import assert from "node:assert/strict";
import type { Json, Manifest } from "../api.ts";
import { NODE, SECOND_NODE } from "../cluster.ts";
import { claim, claimTemplate, deployment, pod, statefulSet } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";
import { refuses } from "./rights.ts";

/** As many as two nodes take beside what else runs on them. */
const PODS = 200;
/** Until the agent that holds the Lease has looked, also if the one before was killed. */
const DUTIES_LIMIT = 240_000;
const KIND = { apiVersion: "dra.networking/v1alpha1" };

interface Pool {
  readonly subnet: string;
  readonly ranges?: readonly string[];
}

/** macvlan on the link between the nodes. */
function network(
  name: string,
  { pools, type = "macvlan", ...more }: {
    readonly pools: readonly Pool[];
    readonly type?: string;
    readonly keepFor?: string;
  },
): Manifest {
  return {
    ...KIND,
    kind: "Network",
    metadata: { name },
    spec: {
      config: { cniVersion: "1.0.0", type, master: "eth0", mode: "bridge" },
      addresses: { pools, ...more },
    },
  };
}

/** Of a claim or a template that names a Network. */
function naming(networkName: string, more: Json = {}) {
  const parameters = { ...KIND, kind: "Network", networkName, ...more };
  return [{ name: "lan", subnet: 0, parameters }];
}

async function addressesOf({ cluster }: Space, name: string): Promise<Json[]> {
  const all = await cluster.api.list({ kind: "NetworkAddress" });
  return all.filter(({ spec }) => spec.network === name);
}

/** Resolves when a network has so many addresses. */
async function count(space: Space, name: string, wanted: number, limit = 60_000): Promise<void> {
  await until(`${name} has ${wanted} addresses`, async () => {
    return (await addressesOf(space, name)).length === wanted || undefined;
  }, { limit, explain: async () => JSON.stringify(await addressesOf(space, name)) });
}

async function condition(
  { cluster }: Space,
  name: string,
  { type, status, says = /./ }: { type: string; status: string; says?: RegExp },
): Promise<Json> {
  const get = () => cluster.api.get({ kind: "Network", name });
  return await until(`${name} has the condition ${type} ${status}`, async () => {
    const found = await get();
    return (found?.status?.conditions ?? []).some((each: Json) =>
        each.type === type && each.status === status && says.test(each.message)
      )
      ? found
      : undefined;
  }, { limit: DUTIES_LIMIT, explain: async () => JSON.stringify((await get())?.status) });
}

/** The address of a pod's net1, without its prefix length. */
async function ipOf(space: Space, running: Json): Promise<string> {
  const shown = await space.exec(running, "ip", "-4", "addr", "show", "net1");
  return shown.match(/inet ([\d.]+)\//)?.[1] ?? `none in ${shown}`;
}

export const ADDRESSES: Readonly<Record<string, Case>> = {
  "addresses: pods on two nodes have different ones, reach one another, and give them back": async (
    space,
  ) => {
    await space.apply(
      network("wide", { pools: [{ subnet: "10.60.0.0/22" }, { subnet: "fd00:60::/64" }] }),
      claimTemplate("lan", naming("wide")),
      deployment("many", { replicas: PODS, templates: ["lan"] }),
    );
    const pods = await until(`${PODS} pods run`, async () => {
      const all = await space.list("Pod");
      const running = all.filter(({ status }) => status.phase === "Running");
      return running.length === PODS ? running : undefined;
    }, {
      limit: 900_000,
      explain: async () => {
        const pods = await space.list("Pod");
        const running = pods.filter(({ status }) => status.phase === "Running");
        return `${running.length} of ${pods.length} run`;
      },
    });
    const taken = await addressesOf(space, "wide");
    assert.equal(taken.length, 2 * PODS);
    assert.equal(new Set(taken.map(({ spec }) => spec.address)).size, 2 * PODS);
    const owners = new Set(taken.map(({ spec }) => spec.pod.uid));
    assert.deepEqual(owners, new Set(pods.map(({ metadata }) => metadata.uid)));
    // What the objects say is what the pods have.
    const some = [NODE, SECOND_NODE].map((node) =>
      pods.find(({ spec }) => spec.nodeName === node)!
    );
    const ips = await Promise.all(some.map((each) => ipOf(space, each)));
    for (const [i, { metadata }] of some.entries()) {
      const own = taken.filter(({ spec }) => spec.pod.uid === metadata.uid);
      assert.ok(own.some(({ spec }) => spec.address === ips[i]), `${ips[i]} of ${metadata.name}`);
      const [four, six] = [".", ":"].map((sign) => {
        const other = taken.filter(({ spec }) => spec.pod.uid === some[1 - i]!.metadata.uid);
        return other.find(({ spec }) => spec.address.includes(sign))!.spec.address;
      });
      for (const address of [four, six]) {
        await until(
          `${address} is reached`,
          () => space.exec(some[i]!, "ping", "-c", "1", "-w", "2", address).catch(() => undefined),
          {
            limit: 30_000,
          },
        );
      }
    }
    const { status } = await condition(space, "wide", { type: "Exhausted", status: "False" });
    assert.deepEqual(Object.keys(status.addresses), ["ipv4", "ipv6"]);
    await space.clear();
    await count(space, "wide", 0);
    await until("the status counts none", async () => {
      const found = await space.cluster.api.get({ kind: "Network", name: "wide" });
      return found.status.attachments === 0 && found.status.addresses.ipv4.left === 1022 ||
        undefined;
    }, { limit: DUTIES_LIMIT });
    const columns = await space.cluster.kubectl("get", "drnet", "wide");
    assert.match(columns, /VALID +ATTACHMENTS +IPV4 LEFT +IPV6 LEFT/);
  },

  "addresses: one of two is left out: an event and a condition say so, until one is given back":
    async (space) => {
      await space.apply(
        network("small", {
          pools: [{ subnet: "10.61.0.0/24", ranges: ["10.61.0.10-10.61.0.11"] }],
        }),
        claimTemplate("lan", naming("small")),
        pod("one", { templates: ["lan"], node: NODE }),
        pod("two", { templates: ["lan"], node: SECOND_NODE }),
      );
      await space.allRunning(2);
      await space.apply(pod("three", { templates: ["lan"], node: NODE }));
      await space.assertEvent("three", /network small has no free IPv4 address/);
      await condition(space, "small", {
        type: "Exhausted",
        status: "True",
        says: /no IPv4 address/,
      });
      await space.delete("Pod", "two");
      const three = await space.running("three", { limit: 180_000 });
      assert.match(await ipOf(space, three), /^10\.61\.0\.1[01]$/);
      await condition(space, "small", { type: "Exhausted", status: "True" });
      await space.delete("Pod", "one");
      await condition(space, "small", { type: "Exhausted", status: "False" });
    },

  "addresses: a claim has the one that it names, and another pod cannot have it": async (space) => {
    const fixed = naming("fixed", { capabilities: { ips: ["10.62.0.77/24"] } });
    await space.apply(
      network("fixed", { pools: [{ subnet: "10.62.0.0/24", ranges: ["10.62.0.10-10.62.0.20"] }] }),
      claim("own", fixed),
      claim("same", fixed),
      pod("one", { claims: ["own"], node: NODE }),
    );
    assert.equal(await ipOf(space, await space.running("one")), "10.62.0.77");
    await space.apply(pod("two", { claims: ["same"], node: SECOND_NODE }));
    await space.assertEvent("two", /10\.62\.0\.77 of network fixed is taken by .*one/);
    await space.delete("Pod", "one");
    const two = await space.running("two", { limit: 180_000 });
    assert.equal(await ipOf(space, two), "10.62.0.77");
  },

  "addresses: a StatefulSet's pod comes back with its address, on another node too": async (
    space,
  ) => {
    const db = (replicas: number, node: string) =>
      statefulSet("db", { replicas, node, templates: ["lan"] });
    await space.apply(
      network("kept", { pools: [{ subnet: "10.66.0.0/24" }], keepFor: "10m" }),
      claimTemplate("lan", naming("kept")),
      db(1, NODE),
    );
    const address = await ipOf(space, await space.running("db-0"));
    await space.apply(db(1, SECOND_NODE));
    const moved = await until("db-0 runs on the second node", async () => {
      const found = (await space.list("Pod")).find(({ metadata }) => metadata.name === "db-0");
      const { spec, status, metadata } = found ?? {};
      return spec?.nodeName === SECOND_NODE && status.phase === "Running" &&
          metadata.deletionTimestamp === undefined
        ? found
        : undefined;
    }, { limit: 180_000 });
    assert.equal(await ipOf(space, moved), address);
    await space.apply(db(0, SECOND_NODE));
    await until("the address is kept for db-0", async () => {
      const [kept] = await addressesOf(space, "kept");
      return kept?.spec.keptUntil;
    }, { limit: 120_000, explain: async () => JSON.stringify(await addressesOf(space, "kept")) });
    await space.apply(pod("other", { templates: ["lan"], node: SECOND_NODE }));
    assert.notEqual(await ipOf(space, await space.running("other")), address);
    await space.apply(db(1, NODE));
    assert.equal(await ipOf(space, await space.running("db-0")), address);
    await space.clear();
    await until("only the address of db-0 is kept", async () => {
      const all = await addressesOf(space, "kept");
      return all.length === 1 && all[0].spec.keptUntil !== undefined || undefined;
    }, { limit: 120_000, explain: async () => JSON.stringify(await addressesOf(space, "kept")) });
    const [{ metadata: { name } }] = await addressesOf(space, "kept");
    await space.cluster.api.delete({ kind: "NetworkAddress", name });
  },

  "addresses: an agent that is killed while it attaches leaves no address behind": async (
    space,
  ) => {
    const { cluster } = space;
    const mark = cluster.mark("addressed");
    const before = `[ "$CNI_COMMAND" = ADD ] && [ ! -e ${mark} ] && : > ${mark} && sleep 5`;
    await cluster.wrapPlugin("slowaddressed", { around: "macvlan", before });
    await space.apply(
      network("killed", { pools: [{ subnet: "10.63.0.0/24" }], type: "slowaddressed" }),
      claim("lan", naming("killed")),
      pod("one", { claims: ["lan"], node: NODE }),
    );
    await until("the plugin runs", () => Deno.stat(mark).catch(() => undefined));
    await cluster.agent.restart("SIGKILL");
    const one = await space.running("one", { limit: 180_000 });
    const [{ spec }, ...more] = await addressesOf(space, "killed");
    assert.deepEqual(more, []);
    assert.equal(await ipOf(space, one), spec.address);
    await space.clear();
    await count(space, "killed", 0);
  },

  "addresses: those of a node that is gone are freed, never a living pod's": async (space) => {
    const { api } = space.cluster;
    await space.apply(
      network("gone", { pools: [{ subnet: "10.64.0.0/24" }] }),
      claim("lan", naming("gone")),
      pod("one", { claims: ["lan"] }),
    );
    const one = await space.running("one");
    const [taken] = await addressesOf(space, "gone");
    const left = (last: number, more: Json = {}): Manifest => ({
      ...KIND,
      kind: "NetworkAddress",
      metadata: { name: `gone.10-64-0-${last}` },
      spec: {
        ...taken.spec,
        address: `10.64.0.${last}`,
        node: "node-9",
        containerID: crypto.randomUUID(),
        pod: { namespace: space.namespace, name: "one", uid: crypto.randomUUID() },
        claim: { namespace: space.namespace, name: "lan", uid: crypto.randomUUID() },
        ...more,
      },
    });
    const { namespace, name, uid } = one.metadata;
    await space.apply(left(200), left(201, { pod: { namespace, name, uid } }));
    await until("the address of the node that is gone is freed", async () => {
      const names = (await addressesOf(space, "gone")).map(({ metadata }) => metadata.name);
      return !names.includes("gone.10-64-0-200") || undefined;
    }, { limit: DUTIES_LIMIT + 180_000 });
    const names = (await addressesOf(space, "gone")).map(({ metadata }) => metadata.name);
    assert.deepEqual(names.sort(), ["gone.10-64-0-201", taken.metadata.name].sort());
    await api.delete({ kind: "NetworkAddress", name: "gone.10-64-0-201" });
  },

  "addresses: a Network that is deleted waits for its pods, and says for whom": async (space) => {
    const { api } = space.cluster;
    await space.apply(
      network("held", { pools: [{ subnet: "10.65.0.0/24" }] }),
      claim("lan", naming("held")),
      pod("one", { claims: ["lan"] }),
    );
    await space.running("one");
    await condition(space, "held", { type: "Valid", status: "True" });
    await api.delete({ kind: "Network", name: "held" });
    const says = new RegExp(`in use by pod ${space.namespace}/one$`);
    const held = await condition(space, "held", { type: "InUse", status: "True", says });
    assert.ok(held.metadata.deletionTimestamp);
    await space.clear();
    await until("the Network is gone", async () => {
      return await api.get({ kind: "Network", name: "held" }) === undefined || undefined;
    }, { limit: DUTIES_LIMIT });
  },

  "addresses: an agent can change nothing of Networks but its finalizer and their status": async (
    space,
  ) => {
    const { cluster } = space;
    await space.apply(network("policy", { pools: [{ subnet: "10.66.0.0/24" }] }));
    const agent = await cluster.apiAsAgentOn(NODE);
    const path = "/apis/dra.networking/v1alpha1/networks/policy";
    const patch = (body: unknown, at = path) =>
      agent.request("PATCH", at, body, "application/merge-patch+json");
    const refused = /the agent may change (the|its own) finalizers? .*only/;
    try {
      await refuses({
        "configuration": [() => patch({ spec: { config: { type: "bridge" } } }), refused],
        "labels": [() => patch({ metadata: { labels: { a: "b" } } }), refused],
        "another's finalizer": [
          () => patch({ metadata: { finalizers: ["example.com/x"] } }),
          refused,
        ],
        "deletion": [() => agent.request("DELETE", path)],
      });
      await patch({ status: { observedGeneration: 1 } }, `${path}/status`);
    } finally {
      agent.close();
    }
  },
};
