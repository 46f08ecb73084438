import assert from "node:assert/strict";
import { networkData } from "./network_data.ts";

const inPod = (name: string, mac?: string) => ({ name, mac, sandbox: "/var/run/netns/x" });
const onHost = (name: string) => ({ name, mac: "aa:aa:aa:aa:aa:aa" });

Deno.test("networkData() finds the pod's interface and its addresses", async (t) => {
  const cases: Record<string, { result: Record<string, unknown>; gives: unknown }> = {
    "macvlan: one interface": {
      result: {
        interfaces: [inPod("net1", "02:00:00:00:00:01")],
        ips: [{ address: "10.0.0.2/24", interface: 0 }],
      },
      gives: {
        interfaceName: "net1",
        hardwareAddress: "02:00:00:00:00:01",
        ips: ["10.0.0.2/24"],
      },
    },
    "bridge: the host's come first": {
      result: {
        interfaces: [onHost("br0"), onHost("veth1"), inPod("net1", "02:00:00:00:00:0A")],
        ips: [{ address: "10.0.0.2/24", interface: 2 }, { address: "10.0.0.1/24", interface: 0 }],
      },
      gives: {
        interfaceName: "net1",
        hardwareAddress: "02:00:00:00:00:0a",
        ips: ["10.0.0.2/24"],
      },
    },
    "the only one in the sandbox, under another name": {
      result: { interfaces: [onHost("v"), inPod("eth7")], ips: [{ address: "10.0.0.2/24" }] },
      gives: { interfaceName: "eth7", ips: ["10.0.0.2/24"] },
    },
    "the last of several": {
      result: {
        interfaces: [inPod("a"), inPod("b")],
        ips: [{ address: "10.0.0.2/24", interface: 0 }, { address: "10.0.0.3/24", interface: 1 }],
      },
      gives: { interfaceName: "b", ips: ["10.0.0.3/24"] },
    },
    "addresses without an index, with one out of range, with 0": {
      result: {
        interfaces: [inPod("net1")],
        ips: [
          { address: "10.0.0.2/24" },
          { address: "10.0.0.3/24", interface: 9 },
          { address: "10.0.0.4/24", interface: -1 },
          { address: "10.0.0.5/24", interface: 0 },
        ],
      },
      gives: {
        interfaceName: "net1",
        ips: ["10.0.0.2/24", "10.0.0.3/24", "10.0.0.4/24", "10.0.0.5/24"],
      },
    },
    "canonical, once each, without invalid addresses": {
      result: {
        ips: [
          "FD00:0:0::1/64",
          "fd00::1/64",
          "::ffff:10.0.0.2/120",
          "10.0.0.2/24",
          "::1.2.3.4/96",
          "64:ff9b::1.2.3.4/96",
          "10.0.0.300/24",
          "010.0.0.1/24",
          "10.0.0.1",
          "10.0.0.1/33",
          "fe80::1%eth0/64",
          "2001:db8::/129",
          7,
        ].map((address) => ({ address })),
      },
      gives: {
        interfaceName: "net1",
        ips: ["fd00::1/64", "10.0.0.2/24", "::102:304/96", "64:ff9b::102:304/96"],
      },
    },
    "nothing said": { result: {}, gives: { interfaceName: "net1", ips: [] } },
  };
  for (const [name, { result, gives }] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.deepEqual(networkData({ cniVersion: "1.0.0", ...result }, { ifName: "net1" }), gives);
    });
  }
});

Deno.test("networkData() reads results of old versions", () => {
  const result = { cniVersion: "0.2.0", ip4: { ip: "10.0.0.2/24" } };
  assert.deepEqual(networkData(result, { ifName: "net1" }), {
    interfaceName: "net1",
    ips: ["10.0.0.2/24"],
  });
});

Deno.test("networkData() keeps to the 16 addresses that the API server takes", () => {
  const ips = Array.from({ length: 20 }, (_, i) => ({ address: `10.0.0.${i}/24` }));
  assert.equal(networkData({ cniVersion: "1.0.0", ips }, { ifName: "net1" }).ips?.length, 16);
});

Deno.test("networkData() leaves out names and addresses that the API server would refuse", () => {
  const result = {
    cniVersion: "1.0.0",
    interfaces: [{ name: "n".repeat(257), mac: "0".repeat(129), sandbox: "/x" }],
  };
  assert.deepEqual(networkData(result, { ifName: "net1" }), { interfaceName: "net1", ips: [] });
});
