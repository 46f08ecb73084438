import assert from "node:assert/strict";
import { parseManifests } from "./manifests.ts";

const pod = (labels: string) =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {${labels}}}\n` +
  "spec: {containers: [{name: main, image: busybox}]}\n";

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
    `---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: b}, spec: {containers: [{name: c, image: busybox}]}}\n`;
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
  const main = "containers: [{name: main, image: busybox}]";
  const cases: [string, string][] = [
    [claim("hello"), 'spec: must be an object, not "hello"'],
    [
      claim("{device: {}}"),
      'spec.device: is unknown; must be one of devices (did you mean "devices"?)',
    ],
    [
      claim("{devices: {request: []}}"),
      "spec.devices.request: is unknown; must be one of requests, constraints, config " +
      '(did you mean "requests"?)',
    ],
    [claim("{devices: {requests: {}}}"), "spec.devices.requests: must be a list, not {}"],
    [requests("r"), 'spec.devices.requests[0]: must be an object, not "r"'],
    [`${requests(`${r}, ${r}`)}`, 'spec.devices.requests[1].name: "r" is used twice'],
    [
      requests(r).replace("resource.k8s.io/v1", "resource.k8s.io/v1alpha3"),
      "spec.devices.requests[0].exactly: is not a field in v1alpha3: use apiVersion resource.k8s.io/v1",
    ],
    [
      requests("{name: R, exactly: {deviceClassName: c}}"),
      'spec.devices.requests[0].name: "R" must be made of a to z, 0 to 9 and "-"',
    ],
    [
      requests("{name: r, exactly: {deviceClassName: c, cuont: 2}}"),
      "spec.devices.requests[0].exactly.cuont: is unknown; must be one of adminAccess, " +
      "deviceClassName, selectors, allocationMode, count, tolerations, capacity, derivedAttributes " +
      '(did you mean "count"?)',
    ],
    [
      requests("{name: r, exactly: {deviceClassName: c, count: two}}"),
      'spec.devices.requests[0].exactly.count: must be a whole number, not "two"',
    ],
    [
      requests("{name: r, exactly: {deviceClassName: c, allocationMode: all}}"),
      'spec.devices.requests[0].exactly.allocationMode: "all" is unknown; ' +
      "must be one of ExactCount, All",
    ],
    [
      requests("{name: r, exactly: {deviceClassName: c, selectors: [{cel: x}]}}"),
      'spec.devices.requests[0].exactly.selectors[0].cel: must be an object, not "x"',
    ],
    [
      config("{requests: [s], opaque: {driver: d, parameters: {}}}"),
      'spec.devices.config[0].requests[0]: "s" is not a request of the claim; its requests are r',
    ],
    [
      config("{opaque: {driver: d, parametres: {}}}"),
      "spec.devices.config[0].opaque.parametres: is unknown; must be one of driver, parameters " +
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
      "spec.resourceClaims[0].resourceClaim: is unknown; must be one of name, resourceClaimName, " +
      "resourceClaimTemplateName",
    ],
    [
      aPod(`{${main}, resourceClaims: [{name: a}]}`),
      "spec.resourceClaims[0]: must have one of resourceClaimName and resourceClaimTemplateName",
    ],
    [
      aPod("{containers: [{name: main, image: busybox, resources: {claims: [{name: b}]}}]}"),
      'spec.containers[0].resources.claims[0].name: "b" is not among the pod\'s spec.resourceClaims',
    ],
    [
      aPod(`{${main}, resourceClaim: [{name: a, resourceClaimName: a}]}`),
      'spec.resourceClaim: is unknown (did you mean "resourceClaims"?)',
    ],
    [
      aPod("{containers: [{name: main, image: busybox, resorces: {claims: [{name: b}]}}]}"),
      'spec.containers[0].resorces: is unknown (did you mean "resources"?)',
    ],
    [
      aPod("{containers: [{name: main, image: busybox, resources: {clams: [{name: b}]}}]}"),
      "spec.containers[0].resources.clams: is unknown; must be one of limits, requests, claims " +
      '(did you mean "claims"?)',
    ],
    [
      aPod("{containers: [{name: main, image: busybox, resourceClaims: [{name: a}]}]}"),
      "spec.containers[0].resourceClaims: is not a field of a container; name its claims in " +
      "resources.claims",
    ],
  ];
  for (const [yaml, says] of cases) {
    const what = yaml.includes("kind: Pod") ? "Pod p" : "ResourceClaim a";
    const escaped = `${what}: ${says}`.replaceAll(/[[\](){}?+]/g, "\\$&");
    assert.throws(
      () => parseManifests(`---\n${yaml}`, "f.yaml"),
      new RegExp(`^Error: f\\.yaml:[2-9]: ${escaped}$`),
    );
  }
  for (const name of ["no", "A_b", "../x"]) {
    const yaml = pod("").replace("name: a", `name: ${name}`);
    assert.throws(
      () => parseManifests(yaml, "f.yaml"),
      /f\.yaml:3: Pod.*: metadata\.name: .*must/,
    );
  }
});

Deno.test("two objects of one name are refused, also in two files", () => {
  const seen = new Map<string, string>();
  parseManifests(pod(""), "f.yaml", seen);
  assert.throws(
    () => parseManifests(`---\n${pod("")}`, "g.yaml", seen),
    /^Error: g\.yaml:2: Pod a: is already defined at f\.yaml:1: use another name$/,
  );
  parseManifests(pod("").replace("name: a", "name: a, namespace: b"), "g.yaml", seen);
});

Deno.test("YAML that cannot be read: what and where, on one line", () => {
  assert.throws(() => parseManifests("a: 1\na: 2\n", "f.yaml"), {
    message: "f.yaml:2:1: YAML: a appears twice in the same object: keep one of them",
  });
});

Deno.test("what an object is must be said, in fields that are spelled right", () => {
  const right =
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers: [{name: m, image: busybox}]\n";
  assert.equal(parseManifests(right, "f.yaml").length, 1);
  const known = "is unknown; must be one of apiVersion, kind, metadata, spec, status";
  const cases: [right: string, wrong: string, says: string][] = [
    ["metadata:", "metdata:", `3: Pod: metdata: ${known} (did you mean "metadata"?)`],
    ["spec:", "sepc:", `5: Pod a: sepc: ${known} (did you mean "spec"?)`],
    ["kind:", "knid:", '2: object: knid: is not known (did you mean "kind"?)'],
    [
      "apiVersion:",
      "apiversion:",
      '1: object: apiversion: is not known (did you mean "apiVersion"?)',
    ],
    ["kind: Pod\n", "", "1: object: kind: is missing: apiVersion and kind must say what this is"],
    ["kind: Pod", "kind: 7", "2: object: kind: must be a string, not 7"],
    ["  name: a", "  nmae: a", '3: Pod: metadata.name: is missing (is it "nmae"?)'],
    [
      "  name: a",
      "  name:a",
      '3: Pod: metadata: must be an object, not "name:a" (write a space after the colon: "name: a")',
    ],
    [
      "{name: m,",
      "{name: M,",
      '6: Pod a: spec.containers[0].name: "M" must be made of a to z, 0 to',
    ],
    [
      "image: busybox",
      "imagee: busybox",
      '6: Pod a: spec.containers[0].imagee: is unknown (did you mean "image"?)',
    ],
    [
      "{name: m, image: busybox}",
      "{name: m}",
      "6: Pod a: spec.containers[0].image: must be a string that is not empty, not missing",
    ],
    [
      "{name: m, image: busybox}]",
      "{name: m, image: busybox}]\n  hostNetwrok: true",
      '7: Pod a: spec.hostNetwrok: is unknown (did you mean "hostNetwork"?)',
    ],
    [
      "{name: m, image: busybox}",
      "{name: m, image: busybox, resources: {claims: [{name: c, request: l/f}]}}]\n  resourceClaims: [{name: c, resourceClaimName: c}",
      '6: Pod a: spec.containers[0].resources.claims[0].request: "l/f" names an alternative: name ' +
      'the request alone, "l"',
    ],
  ];
  for (const [from, to, says] of cases) {
    assert.ok(right.includes(from));
    assert.throws(
      () => parseManifests(right.replace(from, to), "f.yaml"),
      ({ message }: Error) => {
        assert.equal(message.slice(0, `f.yaml:${says}`.length), `f.yaml:${says}`);
        return true;
      },
    );
  }
});
