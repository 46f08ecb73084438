import assert from "node:assert/strict";
import type { SliceObject } from "../cluster/objects.ts";
import { choosePlace, claimSpec, configuredNetwork, TestProblem } from "./tested_network.ts";

const driver = "dra.networking";

/** A node's slice with these interfaces, by the attributes that differ from the usual ones. */
function slice(
  node: string,
  interfaces: Readonly<Record<string, Readonly<Record<string, string | boolean>>>>,
): SliceObject {
  const devices = Object.entries(interfaces).map(([name, attributes]) => ({
    name,
    attributes: {
      interface: name,
      state: "up",
      plugin_macvlan: true,
      plugin_static: true,
      ...attributes,
    },
    taints: [],
    attachments: 256,
  }));
  return { name: node, driver, node, pool: node, generation: 1, slicesInPool: 1, devices };
}

type Asked = Parameters<typeof choosePlace>[1]["asked"];
const choose = (slices: readonly SliceObject[], asked: Asked = {}, unready: string[] = []) =>
  choosePlace(slices, { asked, unready, driver });

Deno.test("choosePlace() finds two nodes that have an interface of one name", () => {
  const slices = [
    slice("n1", { eth0: { state: "down" }, eth1: {} }),
    slice("n2", { eth2: {} }),
    slice("n3", { eth0: {}, eth1: {} }),
  ];
  assert.deepEqual(choose(slices), {
    nodes: ["n1", "n3"],
    network: { kind: "macvlan", interface: "eth1" },
  });
  assert.deepEqual(choose(slices, {}, ["n1"]).nodes, ["n2", "n2"]);
  assert.deepEqual(choose(slices, { nodes: ["n3"] }).network, {
    kind: "macvlan",
    interface: "eth0",
  });
  assert.deepEqual(choose(slices, { interface: "eth2" }).nodes, ["n2", "n2"]);
  const network = { kind: "class" } as const;
  assert.deepEqual(choose(slices, { network }), { nodes: ["n1", "n2"], network });
});

Deno.test("choosePlace() says why there is no place", () => {
  const slices = [slice("n1", { eth0: { plugin_macvlan: false } }), slice("n2", { eth0: {} })];
  for (
    const [given, asked, problem, whatToDo] of [
      [[], {}, /^no node has devices of the driver dra\.networking$/, /install network-dra/],
      [slices, { nodes: ["n3x"] }, /^node n3x has no devices/, /n1, n2|did you mean/],
      [
        slices,
        { nodes: ["n1", "n2"] },
        /^n1, n2 do not publish an interface of one name/,
        /--class/,
      ],
      [slices, { interface: "eth9" }, /do not publish the interface eth9 that is up/, /--config/],
    ] as const
  ) {
    assert.throws(() => choose(given, asked), (error) => {
      assert.ok(error instanceof TestProblem);
      assert.match(error.message, problem);
      assert.match(error.whatToDo, whatToDo);
      return true;
    });
  }
  assert.throws(() => choose(slices, {}, ["n1", "n2"]), /ready and schedulable/);
});

Deno.test("configuredNetwork() takes parameters, or the CNI configuration alone, and checks them", () => {
  const config = { name: "lan", type: "macvlan", master: "eth0" };
  const options = { driver, className: "network-interface", addresses: [] };
  for (const content of [config, { config }]) {
    const spec = JSON.stringify(claimSpec(configuredNetwork(content, ""), options));
    assert.match(spec, /"deviceClassName":"network-interface"/);
    // As kubectl would send it: the API server refuses statuses of claims with keys in another order.
    assert.match(spec, /"config":\{"master":"eth0","name":"lan","type":"macvlan"\}/);
  }
  assert.throws(() => configuredNetwork({ type: "macvlan" }, ""), /name/);
  assert.throws(() => configuredNetwork({ mtu: 1 }, ""), /mtu: is unknown/);
  assert.deepEqual(claimSpec({ kind: "class" }, options), {
    devices: { requests: [{ name: "network", exactly: { deviceClassName: "network-interface" } }] },
  });
});
