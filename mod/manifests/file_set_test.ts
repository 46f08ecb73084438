import assert from "node:assert/strict";
import { readFileSet } from "./file_set.ts";
import { podsOf } from "./workloads.ts";

const parameters = "parameters: {config: {}}";

function claim(driver: string, deviceClass = "network-interface"): string {
  return "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: lan}\nspec:\n" +
    `  devices:\n    requests: [{name: lan, exactly: {deviceClassName: ${deviceClass}}}]\n` +
    `    config:\n    - opaque: {driver: ${driver}, ${parameters}}\n---\n`;
}

function deviceClass(name: string, expression?: string): string {
  const selectors = expression === undefined
    ? ""
    : `selectors: [{cel: {expression: '${expression}'}}]`;
  return `apiVersion: resource.k8s.io/v1\nkind: DeviceClass\nmetadata: {name: ${name}}\n` +
    `spec: {${selectors}}\n---\n`;
}

const read = (text: string, driver?: string) => readFileSet([{ file: "f.yaml", text }], driver);

Deno.test("readFileSet() finds the agent's name in classes and configurations", () => {
  const cases: [string, string, string?][] = [
    ["", "dra.networking"],
    [claim("dra.networking"), "dra.networking"],
    [deviceClass("lan", 'device.driver == "poc.dra.networking"'), "poc.dra.networking"],
    [
      deviceClass("gpu", 'device.driver == "gpu.example.com"') +
      deviceClass("lan", 'device.driver == "lan.example.com"') + claim("lan.example.com", "lan"),
      "lan.example.com",
    ],
    [deviceClass("lan") + claim("poc.dra.networking", "lan"), "poc.dra.networking"],
    [claim("lan.example.com"), "lan.example.com", "lan.example.com"],
  ];
  for (const [yaml, driver, given] of cases) assert.equal(read(yaml, given).driver, driver, yaml);
});

Deno.test("readFileSet() names configurations for a driver that no class selects", () => {
  assert.throws(
    () => read(claim("dra.networkin")),
    /^Error: f\.yaml:8: ResourceClaim lan: spec\.devices\.config\[0\]\.opaque\.driver: no device of driver "dra\.networkin" is selected by DeviceClass network-interface: did you mean "dra\.networking"\? \(set --driver-name dra\.networkin if the agent has that name\)$/,
  );
  assert.throws(
    () => read(deviceClass("lan") + claim("dra.networkin", "lan")),
    /did you mean "dra\.networking"\?/,
  );
  assert.throws(
    () => read(claim("lan.example.com")),
    /driver "lan\.example\.com" .*: the agent's driver is "dra\.networking" \(set --driver-name lan\.example\.com/,
  );
  assert.throws(
    () => read(deviceClass("lan", 'device.driver == "dra.networkin"')),
    /^Error: f\.yaml:4: DeviceClass lan: spec\.selectors: no driver has the name "dra\.networkin": did you mean "dra\.networking"\?/,
  );
  // Another driver's configuration, in a claim that has its devices too.
  read(
    deviceClass("gpu", 'device.driver == "gpu.example.com"') +
      claim("gpu.example.com", "gpu"),
  );
});

Deno.test("readFileSet() brings the chart's classes, but for those that the files have", () => {
  const names = (yaml: string) => read(yaml).manifests.map(({ metadata }) => metadata.name);
  assert.deepEqual(names(""), ["network-interface", "host-interface"]);
  assert.deepEqual(names(deviceClass("host-interface")), ["network-interface", "host-interface"]);
});

Deno.test("readFileSet() says what is passed over and what is not simulated", () => {
  const { passedOver, notSimulated } = read(
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n---\n` +
      `apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: lan}\n---\n` +
      `apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {k8s.v1.cni.cncf.io/networks: lan}}\n` +
      `spec: {nodeSelector: {a: b}, containers: [{name: main, image: busybox}]}\n`,
  );
  assert.deepEqual(passedOver, [
    "ConfigMap settings: passed over: it says nothing about networks",
  ]);
  assert.deepEqual(notSimulated.map((line) => line.split(":").slice(0, 2).join(":")), [
    "NetworkAttachmentDefinition lan: not simulated",
    "Pod p: not simulated",
    "Pod p: not simulated",
  ]);
  assert.match(notSimulated.join(), /docs\/how-to\/from-multus\.md/);
});

const podSpec = "spec: {containers: [{name: main, image: busybox}]";
const workload = (kind: string, spec: string) => {
  const api = kind.endsWith("Job") ? "batch/v1" : "apps/v1";
  return read(
    `apiVersion: ${api}\nkind: ${kind}\nmetadata: {name: w, namespace: ns}\nspec: ${spec}\n`,
  );
};

Deno.test("podsOf() makes the pods of workloads", () => {
  const apps =
    `selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, ${podSpec}}}`;
  const batch = `template: {${podSpec}, restartPolicy: Never}}`;
  const cases: [string, string, string[], string?][] = [
    ["Deployment", `{${apps}}`, ["w-0"]],
    ["StatefulSet", `{replicas: 2, ${apps}}`, ["w-0", "w-1"]],
    ["DaemonSet", `{${apps}}`, ["w-0"]],
    ["ReplicaSet", `{replicas: 0, ${apps}}`, []],
    ["Job", `{completions: 5, parallelism: 2, ${batch}}`, [
      "w-0",
      "w-1",
    ], "of its 5 pods, those that run at once: 2"],
    ["CronJob", `{schedule: "* * * * *", jobTemplate: {spec: {${batch}}}}`, [
      "w-0",
    ], "run once, as if it were due"],
  ];
  for (const [kind, spec, names, note] of cases) {
    const found = podsOf(workload(kind, spec).manifests.at(-1)!);
    assert.deepEqual(found.pods.map(({ metadata }) => metadata.name), names, kind);
    assert.ok(found.pods.every(({ metadata }) => metadata.namespace === "ns"));
    assert.equal(found.note, note, kind);
  }
  const many = podsOf(workload("Deployment", `{replicas: 100, ${apps}}`).manifests.at(-1)!);
  assert.equal(many.pods.length, 10);
  assert.equal(many.note, "10 of 100 pods are run");
});

Deno.test("a workload's mistakes are refused as an API server does", () => {
  const labels = "selector: {matchLabels: {a: b}}";
  const cases: [string, string, RegExp][] = [
    [
      "Deployment",
      `{${labels}, template: {${podSpec}}}}`,
      /does not match template `labels`.*a: b/,
    ],
    ["Deployment", `{template: {${podSpec}}}}`, /spec\.selector: must be an object, not missing/],
    [
      "Deployment",
      `{${labels}, replicas: two}`,
      /spec\.replicas: must be a whole number, 0 or more, not "two"/,
    ],
    [
      "Job",
      `{template: {${podSpec}}}}`,
      /template\.spec\.restartPolicy: Unsupported value: "Always": supported values: "OnFailure", "Never"/,
    ],
    [
      "Deploymnet",
      "{}",
      /: Deploymnet.*: there is no such kind in apps\/v1 \(did you mean Deployment\?\)/,
    ],
  ];
  for (const [kind, spec, says] of cases) assert.throws(() => workload(kind, spec), says);
});
