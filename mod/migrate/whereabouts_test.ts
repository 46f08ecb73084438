import assert from "node:assert/strict";
import { parse } from "yaml";
import { FieldError, type Fields } from "../claim/field.ts";
import { definition, pod } from "../../tests/support/multus_shapes.ts";
import { migrate } from "./migrate.ts";
import { stream } from "./written.ts";
import { whereaboutsIpam } from "./whereabouts.ts";

const read = (ipam: Fields) => whereaboutsIpam({ type: "whereabouts", ...ipam }, "ipam");

Deno.test("whereaboutsIpam() reads ranges as whereabouts does", () => {
  const cases: [Fields, object[]][] = [
    [{ range: "10.0.0.0/24" }, [{ subnet: "10.0.0.0/24" }]],
    // An address of a host is its network, and an exclusion too.
    [
      {
        range: "192.168.2.225/28",
        exclude: ["192.168.2.229/30", "192.168.2.236/32", "192.168.2.231"],
      },
      [{
        subnet: "192.168.2.224/28",
        exclude: ["192.168.2.228/30", "192.168.2.236/32", "192.168.2.231"],
      }],
    ],
    [
      { range: "10.0.0.10-10.0.0.20/24", range_start: "10.0.0.1", gateway: "10.0.0.254" },
      [{
        subnet: "10.0.0.0/24",
        ranges: ["10.0.0.10-10.0.0.20"],
        gateway: "10.0.0.254",
      }],
    ],
    [
      { range: "10.0.0.0/24", range_start: "10.0.0.100" },
      [{ subnet: "10.0.0.0/24", ranges: ["10.0.0.100-10.0.0.254"] }],
    ],
    [
      { range: "10.0.0.0/24", range_end: "10.0.0.99" },
      [{ subnet: "10.0.0.0/24", ranges: ["10.0.0.1-10.0.0.99"] }],
    ],
    [
      {
        ipRanges: [{ range: "abcd::1/64", exclude: ["abcd::/96"] }],
        range: "10.0.0.0/24",
        gateway: "abcd::1",
      },
      [
        { subnet: "10.0.0.0/24" },
        { subnet: "abcd::/64", exclude: ["abcd::/96"], gateway: "abcd::1" },
      ],
    ],
    // What leaves nothing says that whereabouts gives no more, and what is outside excludes nothing.
    [
      { range: "10.0.0.0/24", exclude: ["10.0.0.0/24", "10.0.1.0/30", "10.0.0.0/16"] },
      [{ subnet: "10.0.0.0/24" }],
    ],
  ];
  for (const [ipam, pools] of cases) {
    assert.deepEqual(read(ipam).pools, pools, JSON.stringify(ipam));
  }
});

Deno.test("whereaboutsIpam() says what it leaves out", () => {
  const { pools, notes } = read({
    range: "10.0.0.0/24",
    range_start: "10.0.0.50",
    range_end: "10.0.0.9",
    gateway: "10.1.0.1",
  });
  assert.deepEqual(pools, [{
    subnet: "10.0.0.0/24",
    ranges: ["10.0.0.50-10.0.0.254"],
  }]);
  assert.equal(notes.length, 2);
  assert.match(notes[0]!, /^ipam\.range_end 10\.0\.0\.9 is left out: /);
  assert.match(notes[1]!, /^ipam\.gateway is left out: 10\.1\.0\.1 is outside of 10\.0\.0\.0\/24/);
});

Deno.test("whereaboutsIpam() refuses what a Network cannot say", () => {
  const cases: [Fields, RegExp][] = [
    [{}, /^ipam\.range: is missing: it is in a file of the nodes/],
    [{ range: "10.0.0.0/33" }, /^ipam\.range: "10\.0\.0\.0\/33" must be a CIDR/],
    [{ range: "x-10.0.0.9/24" }, /^ipam\.range_start: "x" must be an IP address/],
    [
      { range: "10.0.0.0/24", exclude: ["x"] },
      /^ipam\.exclude\[0\]: "x" must be an address or a CIDR/,
    ],
    [
      { range: "10.0.0.0/24", ipRanges: [{ range: "10.1.0.0/24" }] },
      /^ipam\.ipRanges: has two ranges of IPv4/,
    ],
    [
      { range: "10.0.0.0/24", addresses: [{ address: "10.9.0.1/24" }] },
      /^ipam\.addresses: gives all pods/,
    ],
    [{ range: "10.0.0.0/24", rnage_end: "x" }, /^ipam\.rnage_end: is not known of whereabouts/],
    [
      { range: "10.0.0.0/24", gateway: "10.1.0.1", routes: [{ dst: "10.9.0.0/16" }] },
      /^ipam\.gateway: 10\.1\.0\.1 is outside of 10\.0\.0\.0\/24, so the routes cannot go by it/,
    ],
  ];
  for (const [ipam, message] of cases) {
    assert.throws(() => read(ipam), (error: unknown) => {
      assert.ok(error instanceof FieldError);
      assert.match(error.message, message);
      return true;
    });
  }
});

const macvlan = { cniVersion: "1.0.0", type: "macvlan", master: "eth0" };
const network = (name: string, ipam: object, metadata = {}) =>
  definition(name, { ...macvlan, ipam: { type: "whereabouts", ...ipam } }, metadata);

function lease(kind: string, name: string, spec: object): string {
  return JSON.stringify({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind,
    metadata: { name, namespace: "kube-system" },
    spec,
  }) + "\n---\n";
}

const ippool = (name: string, range: string, offsets: readonly number[]) =>
  lease("IPPool", name, {
    range,
    allocations: Object.fromEntries(
      offsets.map((each) => [each, { id: "c", podref: `shop/p-${each}`, ifname: "net1" }]),
    ),
  });
const reservation = (name: string) =>
  lease("OverlappingRangeIPReservation", name, { podref: "shop/other", ifname: "net1" });

const move = (text: string) => migrate([{ file: "f.yaml", text }], { driver: "dra.networking" });
const excluded = (text: string) =>
  // deno-lint-ignore no-explicit-any -- objects of the API
  move(text).networks.map(({ object }: any) =>
    // deno-lint-ignore no-explicit-any -- likewise
    object.spec.addresses.pools.flatMap((pool: any) => pool.exclude ?? [])
  );

Deno.test("migrate() excludes each address that whereabouts has given, once", () => {
  const lan = network("lan", { range: "10.0.0.0/24", exclude: ["10.0.0.1"] });
  assert.deepEqual(
    excluded(
      lan + ippool("10.0.0.0-24", "10.0.0.0/24", [12, 13, 14, 15, 9]) +
        reservation("10.0.0.9") + reservation("10.0.0.200") + reservation("10.9.0.9"),
    ),
    [["10.0.0.1", "10.0.0.9", "10.0.0.12-10.0.0.15", "10.0.0.200"]],
  );
  // With node slices, each node has a pool of its own.
  assert.deepEqual(excluded(lan + ippool("node-1-10.0.0.64-26", "10.0.0.64/26", [1])), [
    ["10.0.0.1", "10.0.0.65"],
  ]);
  assert.deepEqual(
    excluded(
      network("lan", { range: "fd00::/64" }) + ippool("fd00---64", "fd00::/64", [16]) +
        reservation("fd00--20"),
    ),
    [["fd00::10", "fd00::20"]],
  );
});

Deno.test("migrate() tells leases of networks with a name of whereabouts apart", () => {
  const range = { range: "10.0.0.0/24" };
  assert.deepEqual(
    excluded(
      network("a", range) + network("b", { ...range, network_name: "blue" }) +
        network("c", { ...range, network_name: "red-1" }) +
        ippool("10.0.0.0-24", "10.0.0.0/24", [2]) + ippool("blue-10.0.0.0-24", "10.0.0.0/24", [4]) +
        ippool("red-1-node-2-10.0.0.0-24", "10.0.0.0/24", [6]) + reservation("blue-10.0.0.8"),
    ),
    // A network without one may share its range with each of them.
    [
      ["10.0.0.2", "10.0.0.4", "10.0.0.6", "10.0.0.8"],
      ["10.0.0.4", "10.0.0.8"],
      ["10.0.0.6"],
    ],
  );
});

Deno.test("migrate() says what must be done before two give addresses of one range", () => {
  const { networks, findings } = move(
    network("lan", { range: "10.0.0.0/24" }) + ippool("10.0.0.0-24", "10.0.0.0/24", [5]),
  );
  const [decision] = findings.filter(({ level }) => level === "decide");
  assert.match(
    decision!.message,
    /^exclude holds 1 address that pods with Multus have, such as 10\.0\.0\.5 \(shop\/p-5\)\. .*add "10\.0\.0\.0\/24" to "exclude" of the range in default\/lan/,
  );
  assert.ok(networks[0]!.comments.includes(`DECIDE: ${decision!.message}`));
  const none = move(network("lan", { range: "10.0.0.0/24" }));
  assert.match(none.findings[0]!.message, /^No lease of whereabouts was read\. /);
});

Deno.test("migrate() names leases that it cannot read", () => {
  const wrong = [
    lease("IPPool", "p", { range: "x", allocations: {} }),
    lease("IPPool", "p", { range: "10.0.0.0/24", allocations: { "-1": { podref: "a/b" } } }),
    lease("IPPool", "p", { range: "10.0.0.0/24", allocations: { "1": {} } }),
    reservation("none"),
  ];
  const says = [
    /spec\.range: "x" is not/,
    /"-1|-1: must be the offset/,
    /podref/,
    /metadata\.name: "none" does not/,
  ];
  for (const [i, each] of wrong.entries()) {
    const [finding] = move(each).findings;
    assert.equal(finding?.level, "decide");
    assert.match(finding!.message, says[i]!);
  }
});

Deno.test("migrate() makes a Network for the namespaces that use it, with what its plugins are asked for", () => {
  const migration = move(
    network("lan", {
      range: "10.0.0.0/24",
      routes: [{ dst: "10.9.0.0/16" }],
      dns: { search: ["x"] },
    }) +
      pod("p", [{ name: "lan", namespace: "default", mac: "02:00:00:00:00:01" }], {
        metadata: {
          namespace: "shop",
          annotations: {
            "k8s.v1.cni.cncf.io/networks":
              '[{"name": "lan", "namespace": "default", "mac": "02:00:00:00:00:01", "bandwidth": {"ingressRate": 1}}]',
          },
        },
      }),
  );
  assert.deepEqual(migration.networks[0]!.object.spec, {
    config: { ...macvlan, capabilities: { mac: true } },
    namespaceSelector: {
      matchExpressions: [{
        key: "kubernetes.io/metadata.name",
        operator: "In",
        values: ["default", "shop"],
      }],
    },
    addresses: {
      pools: [{ subnet: "10.0.0.0/24" }],
      routes: [{ dst: "10.9.0.0/16" }],
      dns: { search: ["x"] },
    },
  });
  // deno-lint-ignore no-explicit-any -- objects of the API
  const parameters = (migration.classes as any).map(({ object }: any) =>
    object.spec.config[0].opaque.parameters
  );
  const head = { apiVersion: "dra.networking/v1alpha1", kind: "Network" };
  assert.deepEqual(parameters, [
    { ...head, networkName: "default.lan" },
    {
      ...head,
      interfaceName: "net1",
      networkName: "default.lan",
      capabilities: { mac: "02:00:00:00:00:01" },
    },
  ]);
  assert.ok(migration.findings.some(({ message }) => /^bandwidth of the annotation/.test(message)));
  const [first] = stream(migration).split("---\n");
  assert.equal(parse(first!).kind, "Network");
});
