import assert from "node:assert/strict";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import type { Link } from "./link.ts";
import { NodeInventory } from "./node_inventory.ts";

const link = (name: string, index: number): Link => {
  const rest = { type: "physical", up: true, mtu: 1500, virtual: false, port: false };
  return { name, index, peer: index, ...rest };
};

Deno.test("view() says which interfaces are for claims, which names are taken, and what the node needs", async () => {
  const links = [link("eth0", 2), link("eth1", 3), link("eth9", 4), link("cni0", 5)];
  const addresses = [{ interfaceName: "eth0", address: "10.0.0.1", prefix: 24 }];
  const inventory = new NodeInventory({
    readLinks: () => Promise.resolve(links),
    pluginTypes: () => [],
    readAddresses: () => addresses,
    patterns: { exclude: ["eth9"] },
    log: new FakeLog(),
  });
  await inventory.read(new AbortController().signal);
  const view = inventory.view();
  const names = ["eth0", "eth1", "eth9", "cni0", "docker0", "br-new"];
  assert.deepEqual(names.filter(view.offers), ["eth0", "eth1"]);
  assert.deepEqual(names.filter(view.taken), ["eth0", "eth1", "eth9", "cni0", "docker0"]);
  assert.deepEqual(names.filter((name) => view.needs(name) !== undefined), ["eth0"]);
  assert.equal(view.addresses, addresses);
});

Deno.test("addresses that cannot be read leave the devices, and whoever needs them gets the cause", async () => {
  let fault: Error | undefined;
  let reads = 0;
  const inventory = new NodeInventory({
    readLinks: () => Promise.resolve([link("eth0", 2)]),
    pluginTypes: () => [],
    readAddresses: () => {
      reads++;
      if (fault) throw fault;
      return [];
    },
    patterns: {},
    log: new FakeLog(),
  });
  const never = new AbortController().signal;
  await inventory.read(never);
  for (let i = 0; i < 3; i++) inventory.view();
  assert.equal(reads, 1);
  fault = new Error("too many open files");
  assert.ok((await inventory.read(never)).some(({ name }) => name === "eth0"));
  assert.throws(() => inventory.view(), /too many open files/);
  fault = undefined;
  assert.deepEqual(inventory.view().addresses, []);
});
