/** The agent beside Multus, and in its place. */
import assert from "node:assert/strict";
import { macvlan } from "../../support/claims.ts";
import type { Json } from "../api.ts";
import { Multus } from "../multus.ts";
import { annotated, definition, interfacesIn, interfacesOf, toldByMultus } from "../multus_pods.ts";
import { runOn } from "../node_place.ts";
import { claim, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";
import { MIGRATED } from "./migrated.ts";

/** The interfaces of the network namespace on the node in which one has an address that begins so. */
async function interfacesAt(space: Space, start: string): Promise<string[]> {
  const { place } = space.cluster.node;
  for await (const { name } of Deno.readDir("/run/netns")) {
    const shown = await runOn(place, "nsenter", `--net=/run/netns/${name}`, "ip", "addr");
    if (shown.includes(`inet ${start}`)) return interfacesIn(shown);
  }
  throw new Error(`no network namespace has an address ${start}`);
}

/** The networks' addresses that host-local has given. */
async function leases(network: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(`/var/lib/cni/networks/${network}`));
  return entries.map(({ name }) => name).filter((name) => /^\d/.test(name)).toSorted();
}

export const MULTUS: Readonly<Record<string, Case>> = {
  "Multus and the agent give the pods of a node interfaces, and leave each other's": (space) =>
    Multus.with(space, async (multus) => {
      const { cluster } = space;
      await space.apply(
        definition("multus-lan", macvlan({ name: "multus-lan", subnet: 41 })),
        annotated(pod("with-multus"), "multus-lan"),
        claim("lan", [{ name: "lan", subnet: 42 }]),
        pod("with-claim", { claims: ["lan"] }),
        claim("beside", [{ name: "beside", subnet: 42, interface: "claim0" }]),
        annotated(pod("with-both", { claims: ["beside"] }), "multus-lan@multus0"),
      );
      const names = ["with-multus", "with-claim", "with-both"];
      const pods: Json[] = [];
      for (const name of names) pods.push(await space.running(name));
      const [withMultus, withClaim, withBoth] = pods;
      await space.linkIn(withMultus, { subnet: 41 });
      await space.assertNetwork(withClaim, { subnet: 42 });
      await space.linkIn(withBoth, { link: "multus0", subnet: 41 });
      await space.assertNetwork(withBoth, { link: "claim0", subnet: 42 });
      const told = pods.map(toldByMultus);
      assert.match(told[0]!.join(), /^net1 10\.10\.41\.\d+$/);
      assert.deepEqual(told[1], []);
      assert.match(told[2]!.join(), /^multus0 10\.10\.41\.\d+$/);
      const look = () => Promise.all(pods.map((each) => interfacesOf(space, each)));
      const before = await look();
      // Each looks through what is there when it starts.
      await cluster.agent.restart("SIGKILL");
      await multus.stop();
      await multus.start();
      assert.deepEqual(await look(), before);
      await space.delete("Pod", "with-both");
      const left = await Promise.all(
        [withMultus, withClaim].map((each) => interfacesOf(space, each)),
      );
      assert.deepEqual(left, before.slice(0, 2));
      assert.equal((await leases("multus-lan")).length, 1);
      assert.equal((await leases("lan")).length, 1);
      // Multus' interfaces go by Multus.
      await space.clear();
      await cluster.assertNothingLeft();
    }),

  "a claim whose interface Multus has named waits, and Multus' interface stays": (space) =>
    Multus.with(space, async () => {
      await space.apply(
        definition("multus-lan", macvlan({ name: "multus-lan", subnet: 41 })),
        claim("lan", [{ name: "lan", subnet: 42 }]),
        annotated(pod("collides", { claims: ["lan"] }), "multus-lan"),
      );
      const said = /the pod already has an interface net1, which this claim did not create/;
      await space.assertEvent("collides", said);
      const before = await interfacesAt(space, "10.10.41.");
      const from = space.cluster.agent.lines.length;
      await until("the agent has tried again", () => {
        const lines = space.cluster.agent.lines.slice(from);
        return Promise.resolve(lines.some((line) => said.test(JSON.stringify(line))) || undefined);
      });
      assert.deepEqual(await interfacesAt(space, "10.10.41."), before);
      assert.deepEqual(await leases("lan").catch(() => []), []);
      await space.delete("Pod", "collides");
      assert.deepEqual(await leases("multus-lan"), []);
      await space.clear();
    }),

  ...MIGRATED,
};
