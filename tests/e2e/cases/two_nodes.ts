/** Pods on two nodes with a switch between them. */
import assert from "node:assert/strict";
import { tokenOf } from "../agent_account.ts";
import { agentOf } from "../agents/daemonset_agent.ts";
import type { Json } from "../api.ts";
import { NODE, SECOND_NODE } from "../cluster.ts";
import { claim, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";
import { refuses, RESOURCE, sliceWith, writeStatus } from "./rights.ts";

const NODES = [NODE, SECOND_NODE] as const;
const PINGS = 5;
/** Of the packets, and what does not fit into frames of 1500 bytes by far. */
const SMALL = 56;
const JUMBO = 8900;

/** A pod on each node with a network of the same name on the nodes' eth0, and these addresses. */
async function pair(
  space: Space,
  addresses: readonly [string, string],
  config: Json = {},
): Promise<[Json, Json]> {
  const pods = NODES.map(async (node, i) => {
    const ipam = { type: "static", addresses: [{ address: addresses[i] }] };
    await space.apply(
      claim(node, [{ name: "lan", subnet: 1, config: { ...config, ipam } }]),
      pod(node, { claims: [node], node }),
    );
    return await space.running(node);
  });
  return await Promise.all(pods) as [Json, Json];
}

async function assertReaches(
  space: Space,
  from: Json,
  address: string,
  { size = SMALL } = {},
): Promise<void> {
  const ping = (count: number) =>
    space.exec(from, "ping", "-c", `${count}`, "-w", `${2 * count}`, "-s", `${size}`, address);
  // The first may be lost while the switch learns.
  await until(`${address} is reached`, () => ping(1).catch(() => undefined), {
    limit: 30_000,
    explain: () => space.exec(from, "sh", "-c", "ip addr; ip route; ip -6 route; ip neigh"),
  });
  assert.match(await ping(PINGS), new RegExp(`${PINGS} packets received`));
}

/** What an interface has received. */
async function received(space: Space, pod: Json): Promise<{ packets: number; bytes: number }> {
  const read = async (what: string) =>
    Number(await space.exec(pod, "cat", `/sys/class/net/net1/statistics/rx_${what}`));
  return { packets: await read("packets"), bytes: await read("bytes") };
}

export const TWO_NODES: Readonly<Record<string, Case>> = {
  "pods on two nodes reach each other by IPv4": async (space) => {
    const [one, two] = await pair(space, ["10.10.1.2/24", "10.10.1.3/24"]);
    await assertReaches(space, one, "10.10.1.3");
    await assertReaches(space, two, "10.10.1.2");
    for (const running of [one, two]) await space.assertNetwork(running, { subnet: 1 });
  },

  "pods on two nodes reach each other by IPv6": async (space) => {
    const [one, two] = await pair(space, ["fd00:10::2/64", "fd00:10::3/64"]);
    await assertReaches(space, one, "fd00:10::3");
    await assertReaches(space, two, "fd00:10::2");
    for (const running of [one, two]) await space.networksOf(running);
  },

  "pods on two nodes reach each other by jumbo frames": async (space) => {
    const [one, two] = await pair(space, ["10.10.1.2/24", "10.10.1.3/24"], { mtu: 9000 });
    const before = await received(space, two);
    await assertReaches(space, one, "10.10.1.3", { size: JUMBO });
    const after = await received(space, two);
    const [packets, bytes] = [after.packets - before.packets, after.bytes - before.bytes];
    assert.ok(bytes > PINGS * JUMBO, `${bytes} bytes`);
    // In pieces there would be seven times as many.
    assert.ok(packets < 3 * PINGS, `${packets} packets`);
  },

  "a node's agent can write neither the other's slices nor its claims' statuses": async (space) => {
    const { cluster } = space;
    await space.apply(
      claim("lan", [{ name: "lan", subnet: 1 }]),
      pod("one", { claims: ["lan"], node: NODE }),
    );
    const { claim: found } = await space.assertNetwork(await space.running("one"), { subnet: 1 });
    const pods = await agentOf(cluster).pods();
    const other = pods.find(({ spec }) => spec.nodeName === SECOND_NODE);
    const slice = (await cluster.slices()).find(({ spec }) => spec.nodeName === NODE);
    const api = await cluster.apiWith(await tokenOf(cluster.api, other));
    const refused = /the agent of node node-2 may not change slices of node \\"node-1\\"/;
    const { name } = slice.metadata;
    try {
      await refuses({
        "status": [
          () => writeStatus(api, found),
          /changing status\.devices requires .*arbitrary-node:patch/,
        ],
        "delete": [() => api.delete({ kind: "ResourceSlice", name }), refused],
        "create": [() => api.apply(sliceWith(slice.spec)), refused],
        "update": [
          () =>
            api.request(
              "PATCH",
              `${RESOURCE}/resourceslices/${name}`,
              { spec: { devices: [] } },
              "application/merge-patch+json",
            ),
          refused,
        ],
      });
    } finally {
      api.close();
    }
  },

  "each node publishes its own devices, and a pod follows the one it claims": async (space) => {
    const { cluster } = space;
    const nodes = (await cluster.slices()).map(({ spec }) => spec.nodeName);
    assert.deepEqual([...new Set(nodes)].sort(), [...NODES]);
    const [first, second] = await pair(space, ["10.10.1.2/24", "10.10.1.3/24"]);
    for (const running of [first, second]) {
      const { entry } = await space.assertNetwork(running, { subnet: 1 });
      assert.equal(entry.pool, running.spec.nodeName);
    }
    await cluster.agent.restart("SIGTERM");
    for (const running of [first, second]) await space.assertNetwork(running, { subnet: 1 });
  },
};
