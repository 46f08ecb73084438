import assert from "node:assert/strict";
import type { Link } from "./link.ts";
import { devicesOf } from "./link_devices.ts";

const eth0: Link = {
  name: "eth0.100",
  index: 2,
  peer: 1,
  type: "vlan",
  up: false,
  mtu: 9000,
  mac: "02:00:00:00:00:01",
  speed: 25000,
  virtual: true,
  port: false,
  numaNode: 0,
  pciBusId: "0000:41:00.0",
  pcieRoot: "pci0000:40",
};

Deno.test("devicesOf() gives the device cni and one for each link", () => {
  assert.deepEqual(devicesOf([eth0], ["macvlan", "host-device"]), [
    {
      name: "cni",
      attributes: {
        type: { string: "cni" },
        plugin_host_device: { bool: true },
        plugin_macvlan: { bool: true },
      },
      down: false,
    },
    {
      name: "eth0--2e100",
      attributes: {
        "interface": { string: "eth0.100" },
        "type": { string: "vlan" },
        "state": { string: "down" },
        "mtu": { int: 9000 },
        "virtual": { bool: true },
        "mac": { string: "02:00:00:00:00:01" },
        "speed": { int: 25000 },
        "numaNode": { int: 0 },
        "resource.kubernetes.io/pciBusID": { string: "0000:41:00.0" },
        "resource.kubernetes.io/pcieRoot": { string: "pci0000:40" },
        "plugin_host_device": { bool: true },
        "plugin_macvlan": { bool: true },
      },
      down: true,
    },
  ]);
});

Deno.test("devicesOf() keeps to what the API server takes, the common plugins first", () => {
  const many = Array.from({ length: 40 }, (_, i) => `a-plugin-${i}`);
  const plugins = [...many, "macvlan", "x".repeat(40), "naïve", "a.b", "a-b"];
  const [, device] = devicesOf([eth0], plugins);
  const names = Object.keys(device!.attributes);
  assert.equal(names.length, 31);
  assert.ok(names.includes("plugin_macvlan"));
  for (const name of names) {
    assert.match(name, /^([a-z.]+\/)?[A-Za-z_][A-Za-z0-9_]{0,31}$/);
  }
});
