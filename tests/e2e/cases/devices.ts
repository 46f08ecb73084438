/** The node's interfaces as devices. */
import assert from "node:assert/strict";
import { ip } from "../../../mod/simulator/private_node.ts";
import { device, published, withLinks } from "../interfaces.ts";
import { claim, claimWith, deviceClass, DRIVER, ofInterface, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case } from "../space.ts";

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

export const DEVICES: Readonly<Record<string, Case>> = {
  "an interface chosen by its attributes becomes the master": async (space) => {
    await withLinks([{ name: "lan7" }], async () => {
      await published(space.cluster, "lan7");
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
    await withLinks([{ name: "lan8" }], async () => {
      const found = await published(space.cluster, "lan8");
      assert.equal(found.attributes.interface.string, "lan8");
      assert.equal(found.attributes.type.string, "veth");
      await ip(["link", "set", "lan8", "down"]);
      await until("nothing is scheduled onto it", async () => {
        const down = await device(space.cluster, "lan8");
        // Without taints, as before Kubernetes 1.36, it is not a device while it is down.
        if (space.cluster.minor < 36) return down === undefined || undefined;
        return down?.taints?.[0]?.effect === "NoSchedule" || undefined;
      }, { limit: 5_000 });
    });
    await until("it is no longer a device", async () => {
      return await device(space.cluster, "lan8") === undefined || undefined;
    }, { limit: 5_000 });
  },

  "slices that someone deletes come back": async (space) => {
    const { cluster } = space;
    for (const { metadata } of await cluster.slices()) {
      await cluster.api.delete({ kind: "ResourceSlice", name: metadata.name });
    }
    await until("the device is there again", () => device(space.cluster, "cni"), { limit: 5_000 });
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), pod("one", { claims: ["lan"] }));
    await space.assertNetwork(await space.running("one"), { subnet: 1 });
  },
};
