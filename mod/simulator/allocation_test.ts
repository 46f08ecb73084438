import assert from "node:assert/strict";
import { chartClasses } from "../manifests/chart_classes.ts";
import { parseManifests } from "../manifests/manifests.ts";
import type { StoredClaim } from "./api_server.ts";
import type { PublishedDevice } from "./published_devices.ts";
import { schedule } from "./scheduler.ts";

const DRIVER = "dra.networking";

function device(name: string, more: Partial<PublishedDevice> = {}): PublishedDevice {
  return {
    node: "n",
    driver: DRIVER,
    pool: more.node ?? "n",
    name,
    allowMultipleAllocations: true,
    taints: [],
    ...more,
    attributes: { type: { string: name === "cni" ? "cni" : "physical" }, ...more.attributes },
    capacity: more.capacity ??
      { attachments: { value: "2", requestPolicy: { default: "1" } } },
  };
}

const NODE = [
  device("cni"),
  device("eth0", { attributes: { numa: { int: 0 }, speed: { int: 1000 } } }),
  device("eth1", { attributes: { numa: { int: 1 }, speed: { int: 25000 } } }),
  device("eth2", { attributes: { numa: { int: 1 } } }),
  device("down0", {
    attributes: { numa: { int: 7 } },
    taints: [{ key: "link-down", effect: "NoSchedule" }],
  }),
];

/** The names of the devices that claims get, and on which node, or why they get none. */
function outcome(
  devices: string | readonly string[],
  { cluster = NODE, classes = "" }: {
    readonly cluster?: readonly PublishedDevice[];
    readonly classes?: string;
  } = {},
): string[] {
  const yaml = [devices].flat().map((each, i) =>
    `apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: c${i}}\n` +
    `spec: {devices: {${each}}}\n`
  );
  const claims = parseManifests(yaml.join("---\n"), "f.yaml") as unknown as StoredClaim[];
  const all = [...chartClasses(DRIVER), ...parseManifests(classes, "classes.yaml")];
  const nodes = [...new Set(cluster.map(({ node }) => node))];
  const got: string[] = [];
  for (const claim of claims) {
    const node = schedule([claim], {
      nodes,
      devices: cluster,
      classes: new Map(all.map((each) => [each.metadata.name, each])),
      claims,
    });
    const { devices: { results } } = claim.status!.allocation as {
      devices: { results: Record<string, string>[] };
    };
    for (const { request, device } of results) got.push(`${request}=${device}@${node}`);
  }
  return got;
}

const host = (more = "") => `exactly: {deviceClassName: host-interface${more}}`;
const cel = (expression: string) => `, selectors: [{cel: {expression: '${expression}'}}]`;
const attribute = (text: string) => cel(`device.attributes["${DRIVER}"].${text}`);

Deno.test("schedule() gives each request the first device that fits", () => {
  const cases: [string, string[]][] = [
    ["requests: [{name: a, exactly: {deviceClassName: network-interface}}]", ["a=cni@n"]],
    [`requests: [{name: a, ${host()}}]`, ["a=eth0@n"]],
    [`requests: [{name: a, ${host(attribute("numa == 1"))}}]`, ["a=eth1@n"]],
    // The same device twice, as long as it has room.
    [`requests: [{name: a, ${host(", count: 3")}}]`, ["a=eth0@n", "a=eth0@n", "a=eth1@n"]],
    [`requests: [{name: a, ${host(", allocationMode: All" + attribute("numa == 1"))}}]`, [
      "a=eth1@n",
      "a=eth2@n",
    ]],
    [
      `requests: [{name: a, firstAvailable: [{name: x, deviceClassName: host-interface${
        attribute("?speed.orValue(0) > 30000")
      }}, {name: z, deviceClassName: host-interface}]}]`,
      ["a/z=eth0@n"],
    ],
    // Both of one NUMA node, which the first device has for itself.
    [
      `requests: [{name: a, ${host()}}, {name: b, ${host()}}], constraints: [` +
      `{matchAttribute: ${DRIVER}/numa}, {requests: [a, b], distinctAttribute: ${DRIVER}/type}]`,
      [],
    ],
    [
      `requests: [{name: a, ${host()}}, {name: b, ${host(attribute("numa == 1"))}}], ` +
      `constraints: [{matchAttribute: ${DRIVER}/numa}]`,
      ["a=eth1@n", "b=eth1@n"],
    ],
    [
      `requests: [{name: a, exactly: {deviceClassName: host-interface, capacity: {requests: {attachments: 2}}}}, ` +
      `{name: b, ${host()}}]`,
      ["a=eth0@n", "b=eth1@n"],
    ],
    [
      `requests: [{name: a, ${
        host(
          `, tolerations: [{key: link-down, operator: Exists}]` +
            attribute("numa == 7"),
        )
      }}]`,
      ["a=down0@n"],
    ],
  ];
  for (const [devices, expected] of cases) {
    if (expected.length > 0) assert.deepEqual(outcome(devices), expected, devices);
    else assert.throws(() => outcome(devices), /cannot allocate all claims/);
  }
});

Deno.test("schedule() counts what other claims have", () => {
  const one = `requests: [{name: a, ${host(attribute("numa == 0"))}}]`;
  assert.deepEqual(outcome([one, one]), ["a=eth0@n", "a=eth0@n"]);
  assert.throws(
    () => outcome([one, one, one]),
    /claim c2: .*exactly: fewer than 1 of the devices that match \(eth0\) have capacity left/,
  );
  const alone = [
    device("eth0", { allowMultipleAllocations: false, attributes: { numa: { int: 0 } } }),
  ];
  assert.throws(() => outcome([one, one], { cluster: alone }), /have capacity left/);
});

Deno.test("schedule() takes the first node on which all claims fit", () => {
  const cluster = [...NODE, device("eth9", { node: "m", attributes: { numa: { int: 9 } } })];
  const requests = `requests: [{name: a, ${host(attribute("?numa.orValue(0) == 9"))}}]`;
  assert.deepEqual(outcome(requests, { cluster }), ["a=eth9@m"]);
});

Deno.test("schedule() says why nothing fits, device by device", () => {
  const slow = `requests: [{name: a, ${host(attribute("?speed.orValue(0) > 30000"))}}]`;
  assert.throws(() => outcome(slow), (error: Error) => {
    assert.match(
      error.message,
      /^cannot allocate all claims: n: claim c0: spec\.devices\.requests/,
    );
    assert.match(
      error.message,
      /eth1: spec\.devices\.requests\[0\]\.exactly\.selectors\[0\] is false, as speed is 25000;/,
    );
    assert.match(
      error.message,
      /cni: DeviceClass host-interface spec\.selectors\[0\] is false, as type is "cni";/,
    );
    return true;
  });
  assert.throws(
    () => outcome(`requests: [{name: a, ${host()}}]`, { cluster: [NODE[4]!] }),
    /down0: it has the taint link-down:NoSchedule/,
  );
  assert.throws(
    () => outcome(`requests: [{name: a, ${host(attribute("speed > 30000"))}}]`),
    /selectors\[0\]: CEL runtime error: no such key: speed \(device eth2 of n\); read an attribute that a device may lack with \.\?speed\.orValue\(…\)/,
  );
  assert.throws(
    () => outcome("requests: [{name: a, exactly: {deviceClassName: host-interfaces}}]"),
    /there is no DeviceClass host-interfaces; did you mean host-interface\?/,
  );
  assert.throws(() => outcome("requests: []"), /claim c0: it requests no devices/);
  assert.throws(
    () =>
      outcome([
        "requests: [{name: a, exactly: {deviceClassName: network-interface, count: 30}}, " +
        "{name: b, exactly: {deviceClassName: network-interface, count: 3}}]",
      ], { cluster: [device("cni", { capacity: {} })] }),
    /requests\[1\]\.exactly: asks for 33 devices; a claim can have at most 32/,
  );
});

Deno.test("an allocation holds a share of each device, and the configurations of classes first", () => {
  const [deviceClass, claim] = parseManifests(
    `apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: c}
spec: {selectors: [{cel: {expression: "true"}}], config: [{opaque: {driver: d, parameters: {a: 1}}}]}
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: a}
spec:
  devices:
    requests:
    - {name: r, exactly: {deviceClassName: c, count: 2}}
    - {name: s, firstAvailable: [{name: t, deviceClassName: c}]}
    config: [{requests: [r], opaque: {driver: d, parameters: {b: 2}}}]
`,
    "f.yaml",
  );
  const stored = claim as unknown as StoredClaim;
  const cluster = [
    device("cni", { capacity: { attachments: { value: "9", requestPolicy: { default: "1" } } } }),
  ];
  schedule([stored], {
    nodes: ["n"],
    devices: cluster,
    classes: new Map([["c", deviceClass!]]),
    claims: [stored],
  });
  const { devices, nodeSelector } = stored.status!.allocation as {
    devices: { results: Record<string, unknown>[]; config: Record<string, unknown>[] };
    nodeSelector: unknown;
  };
  assert.deepEqual(
    devices.results.map(({ shareID: _, ...rest }) => rest),
    ["r", "r", "s/t"].map((request) => ({
      request,
      driver: DRIVER,
      pool: "n",
      device: "cni",
      consumedCapacity: { attachments: "1" },
    })),
  );
  assert.equal(new Set(devices.results.map(({ shareID }) => shareID)).size, 3);
  assert.deepEqual(devices.config.map(({ source, requests }) => `${source} ${requests}`), [
    "FromClass r",
    "FromClass s/t",
    "FromClaim r",
  ]);
  assert.deepEqual(nodeSelector, {
    nodeSelectorTerms: [{
      matchFields: [{ key: "metadata.name", operator: "In", values: ["n"] }],
    }],
  });
});
