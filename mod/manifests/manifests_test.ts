import assert from "node:assert/strict";
import { parseManifests } from "./manifests.ts";

const pod = (labels: string) =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {${labels}}}\n` +
  "spec: {containers: [{name: main}]}\n";

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
    `---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: b}, spec: {containers: [{name: c}]}}\n`;
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

Deno.test("a mistake is refused as an API server would: file, line, object, field, what is possible", () => {
  const r = "{name: r, exactly: {deviceClassName: c}}";
  const claim = (devices: string) =>
    `apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: a}\nspec: ${devices}\n`;
  const requests = (one: string) => claim(`{devices: {requests: [${one}]}}`);
  const config = (one: string) => claim(`{devices: {requests: [${r}], config: [${one}]}}`);
  const aPod = (spec: string) => `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: ${spec}\n`;
  const main = "containers: [{name: main}]";
  const cases: [string, string][] = [
    [claim("hello"), 'spec: must be an object, not "hello"'],
    [
      claim("{device: {}}"),
      'spec.device: is not known; allowed are devices (did you mean "devices"?)',
    ],
    [
      claim("{devices: {request: []}}"),
      "spec.devices.request: is not known; allowed are requests, constraints, config " +
      '(did you mean "requests"?)',
    ],
    [claim("{devices: {requests: {}}}"), "spec.devices.requests: must be a list, not {}"],
    [requests("r"), 'spec.devices.requests[0]: must be an object, not "r"'],
    [`${requests(`${r}, ${r}`)}`, 'spec.devices.requests[1].name: "r" is there twice'],
    [
      requests("{name: R, exactly: {deviceClassName: c}}"),
      'spec.devices.requests[0].name: "R" must be made of a to z, 0 to 9 and "-"',
    ],
    [
      requests("{name: r, exactly: {deviceClassName: c, cuont: 2}}"),
      "spec.devices.requests[0].exactly.cuont: is not known; allowed are adminAccess, " +
      "deviceClassName, selectors, allocationMode, count, tolerations, capacity, derivedAttributes " +
      '(did you mean "count"?)',
    ],
    [
      requests("{name: r, exactly: {deviceClassName: c, count: two}}"),
      'spec.devices.requests[0].exactly.count: must be a whole number, not "two"',
    ],
    [
      requests("{name: r, exactly: {deviceClassName: c, allocationMode: all}}"),
      'spec.devices.requests[0].exactly.allocationMode: "all" is not known; ' +
      "allowed are ExactCount, All",
    ],
    [
      requests("{name: r, exactly: {deviceClassName: c, selectors: [{cel: x}]}}"),
      'spec.devices.requests[0].exactly.selectors[0].cel: must be an object, not "x"',
    ],
    [
      config("{requests: [s], opaque: {driver: d, parameters: {}}}"),
      'spec.devices.config[0].requests[0]: "s" is no request of the claim, which has r',
    ],
    [
      config("{opaque: {driver: d, parametres: {}}}"),
      "spec.devices.config[0].opaque.parametres: is not known; allowed are driver, parameters " +
      '(did you mean "parameters"?)',
    ],
    [
      config("{opaque: {driver: d}}"),
      "spec.devices.config[0].opaque.parameters: must be an object, not missing",
    ],
    [aPod("{containers: main}"), 'spec.containers: must be a list, not "main"'],
    [aPod("{containers: []}"), "spec.containers: must have a container"],
    [aPod("{containers: [{image: b}]}"), "spec.containers[0].name: must be a string .*"],
    [aPod(`{${main}, resourceClaims: a}`), 'spec.resourceClaims: must be a list, not "a"'],
    [
      aPod(`{${main}, resourceClaims: [{name: a, resourceClaim: a}]}`),
      "spec.resourceClaims[0].resourceClaim: is not known; allowed are name, resourceClaimName, " +
      "resourceClaimTemplateName",
    ],
    [
      aPod(`{${main}, resourceClaims: [{name: a}]}`),
      "spec.resourceClaims[0]: must have one of resourceClaimName and resourceClaimTemplateName",
    ],
    [
      aPod("{containers: [{name: main, resources: {claims: [{name: b}]}}]}"),
      'spec.containers[0].resources.claims[0].name: "b" is not among the pod\'s spec.resourceClaims',
    ],
  ];
  for (const [yaml, says] of cases) {
    const what = yaml.includes("kind: Pod") ? "Pod p" : "ResourceClaim a";
    const escaped = `f.yaml:2: ${what}: ${says}`.replaceAll(/[[\](){}?+]/g, "\\$&");
    assert.throws(
      () => parseManifests(`---\n${yaml}`, "f.yaml"),
      new RegExp(`^Error: ${escaped}$`),
    );
  }
  for (const name of ["no", "A_b", "../x"]) {
    const yaml = pod("").replace("name: a", `name: ${name}`);
    assert.throws(
      () => parseManifests(yaml, "f.yaml"),
      /f\.yaml:1: Pod .*: metadata\.name: .*must/,
    );
  }
});

Deno.test("two objects of one name are refused, also in two files", () => {
  const seen = new Map<string, string>();
  parseManifests(pod(""), "f.yaml", seen);
  assert.throws(
    () => parseManifests(`---\n${pod("")}`, "g.yaml", seen),
    /^Error: g\.yaml:2: Pod default\/a stands at f\.yaml:1 already; give it another name$/,
  );
  parseManifests(pod("").replace("name: a", "name: a, namespace: b"), "g.yaml", seen);
});
