/** The node's interfaces as devices. */
import assert from "node:assert/strict";
import { ip } from "../../../mod/simulator/private_node.ts";
import type { Json } from "../api.ts";
import { claim, claimWith, deviceClass, DRIVER, ofInterface, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";

/** The parameters of a macvlan network that leaves its master to the allocated device. */
const PARAMETERS = {
  config: {
    cniVersion: "1.0.0",
    name: "lan",
    plugins: [{
      type: "macvlan",
      mode: "bridge",
      ipam: { type: "host-local", ranges: [[{ subnet: "10.10.7.0/24" }]] },
    }],
  },
};

/** A class that selects one interface, and a claim of it. */
function claimOf(name: string, parameters: unknown = PARAMETERS) {
  const requests = [{ name: "lan", exactly: { deviceClassName: "this-one" } }];
  return [
    deviceClass({ name: "this-one", expression: ofInterface(name) }),
    claimWith("lan", {
      devices: { requests, config: [{ opaque: { driver: DRIVER, parameters } }] },
    }),
  ];
}

/** A device, or the first of its copies where devices cannot be shared. */
async function device(space: Space, name: string): Promise<Json | undefined> {
  const slices = await space.cluster.slices();
  return slices.flatMap(({ spec }) => spec.devices)
    .find((each) => each.name === name || each.name === `${name}-0`);
}

async function withLink(name: string, body: () => Promise<void>): Promise<void> {
  await ip(["link", "add", name, "type", "veth", "peer", "name", `${name}p`]);
  try {
    for (const end of [name, `${name}p`]) await ip(["link", "set", end, "up"]);
    await body();
  } finally {
    await ip(["link", "delete", name]);
  }
}

export const DEVICES: Readonly<Record<string, Case>> = {
  "an interface chosen by its attributes becomes the master": async (space) => {
    await withLink("lan7", async () => {
      await until("the interface is a device", () => device(space, "lan7"), { limit: 5_000 });
      await space.apply(...claimOf("lan7"), pod("one", { claims: ["lan"] }));
      const running = await space.running("one");
      const { entry } = await space.assertNetwork(running, { subnet: 7 });
      assert.equal(await space.cluster.interfaceOf(entry), "lan7");
      const { ifindex } = JSON.parse(await ip(["-j", "link", "show", "lan7"]))[0];
      const shown = await space.exec(running, "ip", "link", "show", "net1");
      assert.match(shown, new RegExp(`net1@if${ifindex}:`));
      await space.delete("Pod", "one");
    });
  },

  "a master other than the allocated interface is refused": async (space) => {
    const [plugin] = PARAMETERS.config.plugins;
    const config = { ...PARAMETERS.config, plugins: [{ ...plugin, master: "uplink" }] };
    await space.apply(...claimOf("eth0", { config }), pod("one", { claims: ["lan"] }));
    await space.assertEvent("one", /FailedPrepareDynamicResources: (?=.*"uplink")(?=.*eth0)/);
  },

  "an interface comes, goes down and goes": async (space) => {
    await withLink("lan8", async () => {
      const found = await until("it is a device", () => device(space, "lan8"), { limit: 5_000 });
      assert.equal(found.attributes.interface.string, "lan8");
      assert.equal(found.attributes.type.string, "veth");
      await ip(["link", "set", "lan8", "down"]);
      await until("nothing is scheduled onto it", async () => {
        const down = await device(space, "lan8");
        // Without taints, as before Kubernetes 1.36, it is no device while it is down.
        if (space.cluster.minor < 36) return down === undefined || undefined;
        return down?.taints?.[0]?.effect === "NoSchedule" || undefined;
      }, { limit: 5_000 });
    });
    await until("it is no device any more", async () => {
      return await device(space, "lan8") === undefined || undefined;
    }, { limit: 5_000 });
  },

  "slices that someone deletes come back": async (space) => {
    const { cluster } = space;
    for (const { metadata } of await cluster.slices()) {
      await cluster.api.delete({ kind: "ResourceSlice", name: metadata.name });
    }
    await until("the device is there again", () => device(space, "cni"), { limit: 5_000 });
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), pod("one", { claims: ["lan"] }));
    await space.assertNetwork(await space.running("one"), { subnet: 1 });
  },
};
