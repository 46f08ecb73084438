import assert from "node:assert/strict";
import { parseManifests } from "./manifests.ts";
import { allocate, driverOf } from "./scheduler.ts";

const pod = (labels: string) =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {${labels}}}\n`;

function label(value: string): unknown {
  const [manifest] = parseManifests(pod(`x: ${value}`), "f.yaml");
  return (manifest!.metadata as unknown as { labels: { x: unknown } }).labels.x;
}

Deno.test("scalars are read as Kubernetes reads them", () => {
  const cases: [string, unknown][] = [
    ["n", false],
    ["no", false],
    ["Off", false],
    ["y", true],
    ["YES", true],
    ["on", true],
    ['"no"', "no"],
    ["nope", "nope"],
    ["~", null],
    ["0x1F", 31],
    ["012", 10],
    ["1_000", 1000],
    ["2001-01-01", "2001-01-01"],
    ["12:30", "12:30"],
    ["02:00:00:00:00:01", "02:00:00:00:00:01"],
  ];
  for (const [given, expected] of cases) assert.deepEqual(label(given), expected, given);
});

Deno.test("documents, lists and things that say nothing are told apart", () => {
  const yaml =
    `---\n---\n# nothing\n---\n${
      pod("")
    }---\napiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n` +
    `---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n`;
  assert.deepEqual(parseManifests(yaml, "f.yaml").map(({ metadata }) => metadata.name), ["a", "b"]);
});

Deno.test("claims and templates of older versions become v1", () => {
  const devices = "{devices: {requests: [{name: r, deviceClassName: c, count: 2}]}}";
  const old = (version: string, kind: string, spec: string) =>
    parseManifests(
      `apiVersion: resource.k8s.io/${version}\nkind: ${kind}\nmetadata: {name: a}\nspec: ${spec}\n`,
      "f.yaml",
    )[0]!;
  const converted = {
    devices: { requests: [{ name: "r", exactly: { deviceClassName: "c", count: 2 } }] },
  };
  for (const version of ["v1alpha3", "v1beta1"]) {
    const claim = old(version, "ResourceClaim", devices);
    assert.equal(claim.apiVersion, "resource.k8s.io/v1");
    assert.deepEqual(claim.spec, converted);
    const template = old(version, "ResourceClaimTemplate", `{spec: ${devices}}`);
    assert.deepEqual(template.spec, { spec: converted });
  }
  const exactly = "{devices: {requests: [{name: r, exactly: {deviceClassName: c, count: 2}}]}}";
  for (const version of ["v1beta2", "v1"]) {
    assert.deepEqual(old(version, "ResourceClaim", exactly).spec, converted);
  }
  const alternatives =
    "{devices: {requests: [{name: r, firstAvailable: [{name: s, deviceClassName: c}]}]}}";
  assert.deepEqual(old("v1beta1", "ResourceClaim", alternatives).spec, {
    devices: { requests: [{ name: "r", firstAvailable: [{ name: "s", deviceClassName: "c" }] }] },
  });
});

Deno.test("a claim is allocated as the scheduler does it", () => {
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
  const notes: string[] = [];
  const { devices, nodeSelector } = allocate(claim!, {
    node: "node-1",
    driver: "d",
    device: "cni",
    classes: new Map([["c", deviceClass!]]),
    note: (line) => notes.push(line),
  });
  assert.deepEqual(
    devices.results.map(({ shareID: _, ...rest }) => rest),
    ["r", "r", "s/t"].map((request) => ({ request, driver: "d", pool: "node-1", device: "cni" })),
  );
  assert.equal(new Set(devices.results.map(({ shareID }) => shareID)).size, 3);
  assert.deepEqual(devices.config.map(({ source, requests }) => `${source} ${requests}`), [
    "FromClass r",
    "FromClass s/t",
    "FromClaim r",
  ]);
  assert.deepEqual(nodeSelector, {
    nodeSelectorTerms: [{
      matchFields: [{ key: "metadata.name", operator: "In", values: ["node-1"] }],
    }],
  });
  assert.equal(notes.length, 2);
  assert.equal(driverOf([deviceClass!, claim!]), "d");
});
