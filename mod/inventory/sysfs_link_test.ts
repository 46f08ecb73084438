import assert from "node:assert/strict";
import type { Link } from "./link.ts";
import { linkOf, pciFolder } from "./sysfs_link.ts";

const VIRTUAL = "/sys/devices/virtual/net/x";
const VIRTIO = "/sys/devices/pci0000:00/0000:00:03.0/virtio2/net/x";
const BEHIND_A_BRIDGE = "/sys/devices/pci0000:40/0000:40:01.1/0000:41:00.0/net/x";

interface Given {
  readonly path?: string;
  readonly entries?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
}

function link({ path = VIRTUAL, entries = [], files = {} }: Given): Link | undefined {
  return linkOf({
    name: "x",
    path,
    entries,
    files: {
      address: "02:00:00:00:00:01",
      flags: "0x1003",
      ifindex: "7",
      iflink: "7",
      mtu: "1500",
      operstate: "up",
      type: "1",
      uevent: "INTERFACE=x\nIFINDEX=7",
      ...files,
    },
  });
}

const devtype = (type: string) => ({ uevent: `DEVTYPE=${type}\nINTERFACE=x\nIFINDEX=7` });

Deno.test("linkOf() tells what kind of link it is", async (t) => {
  const cases: Record<string, [Given, string]> = {
    "hardware": [{ path: VIRTIO }, "physical"],
    "InfiniBand": [{ path: VIRTIO, files: { type: "32" } }, "physical"],
    "Wi-Fi": [{ path: VIRTIO, files: devtype("wlan") }, "wlan"],
    "a bridge": [{ files: devtype("bridge") }, "bridge"],
    "a bond": [{ files: devtype("bond"), entries: ["lower_eth0"] }, "bond"],
    "a vlan": [{ files: { ...devtype("vlan"), iflink: "3" }, entries: ["lower_eth0"] }, "vlan"],
    "a veth": [{ files: { iflink: "8" } }, "veth"],
    "a macvlan without a word": [{ files: { iflink: "3" }, entries: ["lower_eth0"] }, "stacked"],
    "a dummy": [{}, "virtual"],
    "a tap": [{ entries: ["tun_flags"] }, "tun"],
    "a tunnel": [{ files: { type: "768" } }, "tunnel"],
    "lo": [{ files: { type: "772" } }, "loopback"],
  };
  for (const [name, [given, type]] of Object.entries(cases)) {
    await t.step(name, () => assert.equal(link(given)?.type, type));
  }
});

Deno.test("linkOf() tells whether a link is up", async (t) => {
  const cases: Record<string, [Record<string, string>, boolean]> = {
    "up": [{}, true],
    "not set up": [{ flags: "0x1002" }, false],
    "without a carrier": [{ operstate: "down" }, false],
    "a veth whose peer is down": [{ operstate: "lowerlayerdown", iflink: "8" }, false],
    "a link that cannot tell": [{ operstate: "unknown" }, true],
    "a bridge without ports": [{ operstate: "down", ...devtype("bridge") }, true],
    "a bridge that is not set up": [{ flags: "0x1002", ...devtype("bridge") }, false],
  };
  for (const [name, [files, up]] of Object.entries(cases)) {
    await t.step(name, () => assert.equal(link({ files })?.up, up));
  }
});

Deno.test("linkOf() finds what the link says of itself", async (t) => {
  const cases: Record<string, [Given, Partial<Link>]> = {
    "hardware": [
      { path: BEHIND_A_BRIDGE, files: { speed: "25000", numa_node: "1" } },
      {
        virtual: false,
        speed: 25000,
        numaNode: 1,
        pciBusId: "0000:41:00.0",
        pcieRoot: "pci0000:40",
      },
    ],
    "virtio": [{ path: VIRTIO, files: { numa_node: "-1", speed: "-1" } }, {
      pciBusId: "0000:00:03.0",
      pcieRoot: "pci0000:00",
      numaNode: undefined,
      speed: undefined,
    }],
    "no address": [{ files: { address: "00:00:00:00:00:00" } }, { mac: undefined }],
    "an address in capitals": [{ files: { address: "02:AA:00:00:00:01" } }, {
      mac: "02:aa:00:00:00:01",
    }],
    "a port of a bridge": [{ entries: ["brport", "master"] }, { port: true }],
    "a port of a bond": [{ entries: ["bonding_slave", "master"] }, { port: true }],
    // Of Open vSwitch, a team, Hyper-V's interface: the kernel has no word of its own for these.
    "a port of a switch": [
      { entries: ["master", "upper_ovs-system"], files: { master: "INTERFACE=ovs-system" } },
      { port: true },
    ],
    // A routing table of its own takes nothing from who stands on the link.
    "a member of a VRF": [
      { entries: ["master", "upper_red"], files: { master: "DEVTYPE=vrf\nINTERFACE=red" } },
      { port: false },
    ],
    "no port": [{}, { port: false, virtual: true, mtu: 1500, index: 7, peer: 7 }],
  };
  for (const [name, [given, expected]] of Object.entries(cases)) {
    await t.step(name, () => {
      const found = link(given) as unknown as Record<string, unknown>;
      for (const [key, value] of Object.entries(expected)) assert.equal(found[key], value, key);
    });
  }
});

Deno.test("linkOf() gives nothing for a link that went away meanwhile", () => {
  assert.equal(linkOf({ name: "x", path: VIRTUAL, entries: [], files: {} }), undefined);
  // A device whose mtu is not a number makes the API server refuse the whole slice.
  assert.equal(
    linkOf({ name: "x", path: VIRTUAL, entries: [], files: { ifindex: "7", iflink: "7" } }),
    undefined,
  );
});

Deno.test("pciFolder() is that of the last function on the way", () => {
  assert.equal(pciFolder(VIRTIO), "/sys/devices/pci0000:00/0000:00:03.0");
  assert.equal(pciFolder(BEHIND_A_BRIDGE), "/sys/devices/pci0000:40/0000:40:01.1/0000:41:00.0");
  assert.equal(pciFolder(VIRTUAL), undefined);
});
