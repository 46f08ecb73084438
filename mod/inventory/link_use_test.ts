import assert from "node:assert/strict";
import type { Link } from "./link.ts";
import { useOf } from "./link_use.ts";

function link(index: number, name: string, more: Partial<Link> = {}): Link {
  return {
    name,
    index,
    type: "physical",
    peer: index,
    up: true,
    mtu: 1500,
    virtual: false,
    port: false,
    ...more,
  };
}

Deno.test("useOf() says what the node has a link for", () => {
  const links = [
    link(2, "eth0"),
    link(3, "eth1"),
    link(4, "eth1.100", { type: "vlan", peer: 3 }),
    link(5, "eth2", { port: true }),
    link(6, "eth3"),
    link(7, "a", { type: "veth", peer: 8 }),
    link(8, "b", { type: "veth", peer: 7 }),
  ];
  const addresses = [{ interfaceName: "eth0", address: "10.0.0.1", prefix: 24 }];
  const shown = (name: string) => useOf(name, { links, addresses });
  assert.equal(shown("eth0"), "the node has the address 10.0.0.1 on it");
  assert.equal(shown("eth1"), "eth1.100 is built on it");
  assert.equal(shown("eth2"), "it is part of a bridge, a bond or a virtual switch");
  for (const name of ["eth3", "eth1.100", "a", "gone"]) assert.equal(shown(name), undefined, name);
});
