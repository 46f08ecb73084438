import assert from "node:assert/strict";
import { type DeviceInterface, useInterface } from "./allocated_interface.ts";
import type { PluginConfig } from "./network_list.ts";

const eth1: DeviceInterface = { device: "eth1", interfaceName: "eth1", type: "physical" };
const br0: DeviceInterface = { device: "br0", interfaceName: "br0", type: "bridge" };

function use(allocated: DeviceInterface, ...plugins: PluginConfig[]) {
  const paths = plugins.map((_, i) => `config.plugins[${i}]`);
  const network = { cniVersion: "1.0.0", name: "n", plugins };
  return useInterface(network, { allocated, paths }).plugins;
}

Deno.test("useInterface() fills in what was left out", async (t) => {
  const cases: Record<string, [DeviceInterface, PluginConfig, PluginConfig]> = {
    "macvlan": [eth1, { type: "macvlan" }, { type: "macvlan", master: "eth1" }],
    "an empty master": [
      eth1,
      { type: "ipvlan", master: "" },
      { type: "ipvlan", master: "eth1" },
    ],
    "vlan": [eth1, { type: "vlan", vlanId: 5 }, { type: "vlan", vlanId: 5, master: "eth1" }],
    "host-device": [eth1, { type: "host-device" }, { type: "host-device", device: "eth1" }],
    "bridge on a bridge": [br0, { type: "bridge" }, { type: "bridge", bridge: "br0" }],
    "macvlan on a bridge": [br0, { type: "macvlan" }, { type: "macvlan", master: "br0" }],
    "bridge on another interface": [eth1, { type: "bridge" }, { type: "bridge" }],
    "the same master": [eth1, { type: "macvlan", master: "eth1" }, {
      type: "macvlan",
      master: "eth1",
    }],
    "a master in the pod": [
      eth1,
      { type: "vlan", linkInContainer: true, master: "net1" },
      { type: "vlan", linkInContainer: true, master: "net1" },
    ],
    "a plugin that takes none": [eth1, { type: "tuning" }, { type: "tuning" }],
    "the device cni": [{ device: "cni" }, { type: "macvlan" }, { type: "macvlan" }],
    "the device cni with a master": [
      { device: "cni" },
      { type: "macvlan", master: "eth7" },
      { type: "macvlan", master: "eth7" },
    ],
  };
  for (const [name, [allocated, given, gives]] of Object.entries(cases)) {
    await t.step(name, () => assert.deepEqual(use(allocated, given), [gives]));
  }
});

Deno.test("useInterface() refuses another interface with the path of its field", async (t) => {
  const cases: Record<string, [DeviceInterface, PluginConfig, RegExp]> = {
    "master": [
      eth1,
      { type: "macvlan", master: "eth0" },
      /^config\.plugins\[1\]\.master: "eth0" is not the interface of the allocated device eth1, which is "eth1": leave master out/,
    ],
    "master of a plugin that is not known": [
      eth1,
      { type: "my-plugin", master: "eth0" },
      /plugins\[1\]\.master/,
    ],
    "device": [eth1, { type: "host-device", device: "eth0" }, /plugins\[1\]\.device: "eth0"/],
    "bridge": [br0, { type: "bridge", bridge: "cni0" }, /plugins\[1\]\.bridge: "cni0"/],
    "an address of hardware": [
      eth1,
      { type: "host-device", hwaddr: "02:00:00:00:00:01" },
      /plugins\[1\]\.hwaddr: must be left out: the allocated device eth1/,
    ],
  };
  for (const [name, [allocated, given, says]] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.throws(() => use(allocated, { type: "tuning" }, given), { message: says });
    });
  }
});
