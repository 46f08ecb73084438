import assert from "node:assert/strict";
import { parseNetworks } from "./annotation.ts";

const json = (...elements: unknown[]) => JSON.stringify(elements);

Deno.test("parseNetworks() counts interfaces as Multus does, in both forms", () => {
  const cases: [string, string[]][] = [
    ["", []],
    ["lan", ["-/lan net1 false"]],
    ["lan, storage", ["-/lan net1 false", "-/storage net2 false"]],
    ["infra/lan@lan0,\n storage", ["infra/lan lan0 true", "-/storage net2 false"]],
    ["a/c.d", ["a/c.d net1 false"]],
    ["lan@", ["-/lan net1 false"]],
    [json({ name: "lan" }, { name: "b", namespace: "x", interface: "e1" }, { name: "lan" }), [
      "-/lan net1 false",
      "x/b e1 true",
      "-/lan net3 false",
    ]],
    // Go reads an empty string as a field that is left out; the old name of the field.
    [json({ name: "lan", namespace: "", interface: "", mac: "", ips: [] }), ["-/lan net1 false"]],
    [json({ name: "lan", interfaceRequest: "e0" }), ["-/lan e0 true"]],
    ["[]", []],
  ];
  for (const [given, expected] of cases) {
    const found = parseNetworks(given, "a").map((each) =>
      `${each.namespace ?? "-"}/${each.name} ${each.interfaceName} ${each.interfaceGiven}`
    );
    assert.deepEqual(found, expected, given);
  }
});

Deno.test("parseNetworks() reads what an element asks for", () => {
  const [element] = parseNetworks(
    json({
      name: "lan",
      ips: ["10.0.0.5/24"],
      mac: "02-00-5E-10-00-01",
      "default-route": ["10.0.0.1"],
      bandwidth: { ingressRate: 1 },
      portMappings: [{ hostPort: 80, containerPort: 80 }],
      "cni-args": { a: 1 },
      other: true,
    }),
    "a",
  );
  assert.deepEqual(element, {
    path: "a[0]",
    name: "lan",
    interfaceName: "net1",
    interfaceGiven: false,
    ips: ["10.0.0.5/24"],
    mac: "02:00:5e:10:00:01",
    defaultRoute: ["10.0.0.1"],
    bandwidth: { ingressRate: 1 },
    portMappings: [{ hostPort: 80, containerPort: 80 }],
    cniArgs: { a: 1 },
    ignored: ["other"],
  });
  // Before ips was a list.
  assert.deepEqual(parseNetworks(json({ name: "lan", ips: "10.0.0.5" }), "a")[0]!.ips, [
    "10.0.0.5",
  ]);
});

Deno.test("parseNetworks() says what is wrong, and where", () => {
  const cases: [unknown, RegExp][] = [
    [7, /^FieldError: a: must be a string that is not empty, not 7/],
    [",", /^FieldError: a: "" must be NAME, NAMESPACE\/NAME or/],
    ["a/b/c", /"a\/b\/c" must be NAME/],
    ["Lan", /"Lan" is not the name of a Kubernetes object/],
    ["/lan", /must be a string that is not empty/],
    ["lan@eth0", /"eth0" is an interface that the pod already has/],
    ["lan@much-too-long-a-name", /has 20 bytes; it must have 1 to 15/],
    ["[{", /^FieldError: a: is not valid JSON: /],
    ['{"name": "lan"}', /^FieldError: a: must be a list/],
    ["[null]", /^FieldError: a\[0\]: must be an object, not null/],
    [json({}), /^FieldError: a\[0\]\.name: must be a string/],
    [json({ name: "lan", ips: [7] }), /^FieldError: a\[0\]\.ips\[0\]: must be a string/],
    [json({ name: "lan", ips: {} }), /^FieldError: a\[0\]\.ips: must be a list/],
    [json({ name: "lan", mac: "02" }), /^FieldError: a\[0\]\.mac: "02" must be a MAC address/],
    [json({ name: "lan", interface: 1 }), /^FieldError: a\[0\]\.interface: must be a string/],
    [json({ name: "lan", bandwidth: [] }), /^FieldError: a\[0\]\.bandwidth: must be an object/],
    [json({ name: "lan", "cni-args": "x" }), /^FieldError: a\[0\]\.cni-args: must be an object/],
    [json({ name: "lan", "infiniband-guid": "x" }), /infiniband-guid: cannot be moved: the agent/],
    [json({ name: "lan", "ipam-claim-reference": "x" }), /does not read IPAMClaims/],
    ["lan@net2, lan", /the networks lan and lan both get the interface name "net2"/],
    [Array(33).fill("lan").join(), /names 33 networks; a claim can request at most 32/],
    ["a".repeat(300_000), /has 300000 characters; at most 262144 are allowed/],
  ];
  for (const [given, pattern] of cases) {
    assert.throws(() => parseNetworks(given, "a"), pattern, JSON.stringify(given).slice(0, 80));
  }
});

Deno.test("parseNetworks() refuses numbers that would not stay the same", () => {
  for (const number of ["9007199254740993", "-1e400"]) {
    const given = `[{"name":"lan","bandwidth":{"ingressRate":${number}}}]`;
    assert.throws(() => parseNetworks(given, "networks"), {
      message: "networks: has a number beyond ±9007199254740991",
    });
  }
});
