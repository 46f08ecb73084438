import assert from "node:assert/strict";
import type { Link } from "./link.ts";
import { type InterfacePatterns, isOpenName, offeredLinks } from "./offered_links.ts";

function aLink(name: string, index: number, more: Partial<Link> = {}): Link {
  const rest = { type: "physical", up: true, mtu: 1500, virtual: true, port: false };
  return { name, index, peer: index, ...rest, ...more };
}

const NODE: readonly Link[] = [
  aLink("lo", 1, { type: "loopback" }),
  aLink("eth0", 2),
  aLink("eth1", 3, { port: true }),
  aLink("bond0", 4, { type: "bond" }),
  aLink("br-lan", 5, { type: "bridge" }),
  aLink("br-0123456789ab", 6, { type: "bridge" }),
  aLink("cni0", 7, { type: "bridge" }),
  aLink("docker0", 8, { type: "bridge" }),
  aLink("eth0.100", 9, { type: "vlan" }),
  aLink("uplink", 10, { type: "veth", peer: 11 }),
  aLink("cable", 11, { type: "veth", peer: 10 }),
  aLink("veth1234", 12, { type: "veth", peer: 2 }),
  aLink("cali1", 13, { type: "veth", peer: 2 }),
  aLink("flannel.1", 14, { type: "vxlan" }),
  aLink("tap0", 15, { type: "tun" }),
  aLink("mv0", 16, { type: "stacked" }),
];

Deno.test("offeredLinks() chooses what can carry attachments", async (t) => {
  const cases: Record<string, [InterfacePatterns, string[]]> = {
    "as it comes": [{}, ["eth0", "bond0", "br-lan", "eth0.100", "uplink", "cable"]],
    "but for some": [{ exclude: ["eth0*", "cable"] }, ["bond0", "br-lan", "uplink"]],
    "only some, of whatever kind": [{ include: ["cni?", "mv0", "lo"] }, ["cni0", "mv0"]],
    "some of them not": [{ include: ["eth*"], exclude: ["eth0.*"] }, ["eth0", "eth1"]],
    "a dot is a dot": [{ include: ["eth0.1*0"] }, ["eth0.100"]],
    "none": [{ include: [] }, []],
  };
  for (const [name, [patterns, names]] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.deepEqual(offeredLinks(NODE, patterns).map((link) => link.name), names);
    });
  }
});

Deno.test("isOpenName() knows names that are others'", () => {
  const open = (name: string, patterns: InterfacePatterns = {}) => isOpenName(name, patterns);
  for (const name of ["eth0", "br-lan", "bond0"]) assert.ok(open(name), name);
  const others = ["lo", "cni0", "docker0", "br-0123456789ab", "vxlan.calico", "tunl0"];
  const openVSwitch = ["ovs-system", "br-int", "br-ex", "genev_sys_6081", "vxlan_sys_4789"];
  for (const name of [...others, ...openVSwitch]) assert.ok(!open(name), name);
  assert.ok(!open("br-mgmt", { exclude: ["br-m*"] }));
  assert.ok(open("cni0", { include: ["cni0"] }));
  assert.ok(!open("eth0", { include: ["cni0"] }));
});
