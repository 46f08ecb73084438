import assert from "node:assert/strict";
import { parse } from "yaml";
import { lint } from "../lint/lint.ts";
import { definition, pod, SHAPES, workload } from "../../tests/support/multus_shapes.ts";
import { filled, merged } from "../../tests/support/strategic_merge.ts";
import { migrate } from "./migrate.ts";
import type { Migration } from "./migration.ts";
import { textReport } from "./reports.ts";
import { kustomization, stream } from "./written.ts";

const DRIVER = "dra.networking";

function move(yaml: string, selectors: Readonly<Record<string, string>> = {}): Migration {
  return migrate([{ file: "f.yaml", text: yaml }], {
    driver: DRIVER,
    selectors: new Map(Object.entries(selectors)),
  });
}

const names = (all: Migration["classes"]) => all.map(({ object }) => object.metadata.name);
const macvlan = { cniVersion: "1.0.0", name: "lan", type: "macvlan", master: "eth0" };
const hostLocal = { type: "host-local", subnet: "10.0.0.0/24" };
const lan = definition("lan", { ...macvlan, ipam: hostLocal });

Deno.test("migrate() makes objects that lint accepts, and patches that make the workloads", () => {
  for (const { name, yaml, selectors } of SHAPES) {
    const migration = move(yaml, selectors === undefined ? {} : parse(selectors));
    assert.deepEqual(lint([{ file: "o.yaml", text: stream(migration) }]), [], name);
    assert.ok(migration.workloads.length > 0, name);
    for (const { before, patch, object } of migration.workloads) {
      assert.deepEqual(filled(merged(before, patch)), filled(object), name);
      assert.doesNotMatch(JSON.stringify(object), /k8s\.v1\.cni\.cncf\.io/, name);
    }
  }
});

Deno.test("migrate() says what stays with Multus: file, line, object, field", () => {
  const sriov = (more: object = {}) =>
    definition("vf", { cniVersion: "1.0.0", type: "sriov", ...more }, {
      annotations: { "k8s.v1.cni.cncf.io/resourceName": "intel.com/vf" },
    });
  const networks = 'metadata.annotations["k8s.v1.cni.cncf.io/networks"]';
  const onNode = (spec: object) => lan + pod("p", "lan", { spec: { ...bare, ...spec } });
  const bare = { containers: [{ name: "main", image: "busybox" }] };
  const cases: [string, string][] = [
    [definition("lan", "{"), "NetworkAttachmentDefinition lan: spec.config: is not valid JSON: "],
    [definition("lan", "[]"), "NetworkAttachmentDefinition lan: spec.config: must be an object"],
    [
      definition("lan", { type: "../sh" }),
      'NetworkAttachmentDefinition lan: spec.config: type: "../sh" must be the name of a plugin',
    ],
    [
      definition("lan", { plugins: [{ type: "macvlan" }, {}] }),
      "NetworkAttachmentDefinition lan: spec.config: plugins[1].type: must be a string",
    ],
    [
      definition("lan", { cniVersion: "9.9.9", type: "macvlan" }),
      'NetworkAttachmentDefinition lan: spec.config: cniVersion: "9.9.9" is unknown',
    ],
    [
      definition("lan", '{"type": "macvlan", "__proto__": {}}'),
      "NetworkAttachmentDefinition lan: spec.config: __proto__: is not allowed as a name",
    ],
    [
      definition("lan", `{"type": "a", "x": ${"[".repeat(5000)}${"]".repeat(5000)}}`),
      "NetworkAttachmentDefinition lan: spec.config: x[0]",
    ],
    [
      lan.replace(/"config":".*"\}/, '"config":{"type":"macvlan"}}'),
      "NetworkAttachmentDefinition lan: spec.config: must be text that holds the CNI configuration",
    ],
    [lan + lan, "NetworkAttachmentDefinition lan: metadata.name: default/lan is defined twice"],
    [
      definition("lan", { ...macvlan, ipam: { type: "whereabouts", range: "10.0.0.0" } }),
      'NetworkAttachmentDefinition lan: spec.config: ipam.range: "10.0.0.0" must be a CIDR',
    ],
    [
      definition("lan", { plugins: [macvlan, { type: "x", ipam: { type: "whereabouts" } }] }),
      'NetworkAttachmentDefinition lan: spec.config: plugins[1].ipam.type: "whereabouts" must be',
    ],
    [
      definition("ovn", { type: "ovn-k8s-cni-overlay" }),
      'NetworkAttachmentDefinition ovn: spec.config: type: the plugin "ovn-k8s-cni-overlay" reads',
    ],
    [
      sriov(),
      "NetworkAttachmentDefinition vf: spec.config: type: the resource intel.com/vf chooses",
    ],
    [
      sriov({ vlan: 7 }),
      "NetworkAttachmentDefinition vf: spec.config: vlan: only the plugin sriov",
    ],
    [
      definition("vf", { type: "sriov" }),
      "NetworkAttachmentDefinition vf: spec.config: deviceID: is missing",
    ],
    [
      pod("p", "lan"),
      `Pod p: ${networks}: NetworkAttachmentDefinition default/lan is not among the objects that were read`,
    ],
    [
      definition("lan", macvlan, { namespace: "infra" }) + pod("p", "lan"),
      `Pod p: ${networks}: NetworkAttachmentDefinition default/lan is not among the objects that were read; ` +
      "did you mean infra/lan?",
    ],
    [
      definition("lan", "{") + pod("p", [{ name: "lan" }]),
      `Pod p: ${networks}[0]: uses NetworkAttachmentDefinition default/lan, which stays with Multus`,
    ],
    [lan + pod("p", "[{"), `Pod p: ${networks}: is not valid JSON`],
    [
      lan + workload("CronJob", { name: "c", networks: "lan@eth0" }),
      `CronJob c: spec.jobTemplate.spec.template.${networks}: "eth0" is an interface that the pod`,
    ],
    [
      onNode({ hostNetwork: true }),
      "Pod p: spec.hostNetwork: is true: neither Multus nor the agent",
    ],
    [onNode({ nodeName: "n1" }), "Pod p: spec.nodeName: bypasses the scheduler"],
    [
      lan + pod("p", "lan", {
        metadata: { annotations: { "v1.multus-cni.io/default-network": "lan" } },
      }),
      'Pod p: metadata.annotations["v1.multus-cni.io/default-network"]: replaces the cluster\'s',
    ],
    [
      definition("s", { ...macvlan, ipam: { type: "static" } }) +
      pod("p", [{ name: "s", ips: ["10.0.0.5"] }]),
      `Pod p: ${networks}[0].ips: "10.0.0.5" has no prefix length, which the IPAM plugin static`,
    ],
    [
      definition("f", undefined) + pod("p", [{ name: "f", "cni-args": { a: 1 } }]),
      `Pod p: ${networks}[0].cni-args: cannot be moved: the configuration of f is in a file`,
    ],
    [
      definition("f", undefined) + pod("p", [{ name: "f", portMappings: [{ hostPort: 0 }] }]),
      `Pod p: ${networks}[0]: capabilities.portMappings[0].hostPort: must be a port`,
    ],
    [
      lan +
      pod("p", `[{"name": "lan", "cni-args": {"a": ${"[".repeat(9000)}${"]".repeat(9000)}}}]`),
      `Pod p: ${networks}[0]: config.args.cni.a`,
    ],
    [
      onNode({ x: JSON.parse(`${"[".repeat(200)}${"]".repeat(200)}`) }),
      "Pod p: spec.x.0.0: is nested too deeply: at most 64 levels are allowed",
    ],
    [
      onNode({ containers: [{ name: "main", image: "a" }, { name: "main", image: "a" }] }),
      'Pod p: spec.containers[1].name: "main" is used twice',
    ],
    [
      onNode({ containers: [{ name: "main", image: "a", resources: { limits: "1" } }] }),
      'Pod p: spec.containers[0].resources.limits: must be an object, not "1"',
    ],
    ["apiVersion: v1\nkind: Pod\nmetadata: {}\n", "Pod: metadata.name: is missing"],
  ];
  for (const [yaml, message] of cases) {
    const { findings } = move(yaml);
    const left = findings.filter(({ level }) => level === "left")
      .map(({ file, line, object, message }) => {
        assert.deepEqual([file, line > 0], ["f.yaml", true]);
        return `${object}: ${message}`;
      });
    assert.ok(left.some((each) => each.startsWith(message)), `${message}\n${left.join("\n")}`);
    assert.ok(left.every((each) => each.length < 600), message);
  }
});

Deno.test("migrate() moves a workload with all of its networks or not at all", () => {
  const { workloads, templates, workloadOutcomes } = move(
    lan + definition("bad", "{") + pod("p", "lan, bad") + pod("q", "lan"),
  );
  assert.deepEqual(workloads.map(({ object }) => object.metadata.name), ["q"]);
  assert.deepEqual(names(templates), ["q-networks"]);
  assert.deepEqual(workloadOutcomes.map(({ object, moved }) => [object, moved !== undefined]), [
    ["Pod p", false],
    ["Pod q", true],
  ]);
});

Deno.test("migrate() makes one class a network, and one for each other way to use it", () => {
  const twice = (name: string, networks: Parameters<typeof pod>[1]) => pod(name, networks);
  const { classes, templates } = move(
    lan + definition("lan", macvlan, { namespace: "infra" }) +
      twice("a", "lan") + twice("b", "lan@e1") + twice("c", "lan@e1, infra/lan") +
      twice("d", [{ name: "lan", ips: ["10.0.0.9"] }]) +
      twice("e", [{ name: "lan", ips: ["10.0.0.9"] }]),
  );
  assert.deepEqual(names(classes), [
    "default.lan",
    "infra.lan",
    "default.lan.e1",
    "infra.lan.net2",
    "default.lan.d.net1",
  ]);
  assert.deepEqual(names(templates), ["a", "b", "c", "d", "e"].map((each) => `${each}-networks`));
});

Deno.test("migrate() takes no name that the files have", () => {
  const { classes, templates, workloads } = move(
    lan + definition("lan.net2", macvlan) +
      workload("Deployment", { name: "web", networks: "lan, lan@x" }) +
      workload("StatefulSet", {
        name: "web",
        networks: "lan@net2",
        spec: { serviceName: "web" },
        podSpec: { resourceClaims: [{ name: "networks", resourceClaimName: "gpu" }] },
      }) +
      "apiVersion: resource.k8s.io/v1\nkind: DeviceClass\nmetadata: { name: default.lan }\nspec: {}\n",
  );
  assert.deepEqual(names(classes), [
    "default.lan-2",
    "default.lan.net2",
    "default.lan-2.net1",
    "default.lan-2.x",
    "default.lan-2.net2",
  ]);
  assert.deepEqual(names(templates), ["web-networks", "web-networks-2"]);
  // deno-lint-ignore no-explicit-any -- objects of the API
  const claims = (workloads[1]!.object as any).spec.template.spec.resourceClaims;
  assert.deepEqual(claims, [
    { name: "networks", resourceClaimName: "gpu" },
    { name: "networks-2", resourceClaimTemplateName: "web-networks-2" },
  ]);
});

Deno.test("migrate() leaves out what a cluster has added, and what controllers made", () => {
  const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-1", controller: true };
  const { workloads, findings } = move(
    lan +
      pod("made", "lan", {
        metadata: {
          annotations: { "k8s.v1.cni.cncf.io/networks": "lan" },
          ownerReferences: [owner],
        },
      }) +
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: {
          name: "p",
          uid: "u",
          resourceVersion: "1",
          annotations: {
            "k8s.v1.cni.cncf.io/networks": "lan",
            "k8s.v1.cni.cncf.io/network-status": "[]",
            "example.com/kept": "yes",
          },
        },
        spec: { nodeName: "n1", containers: [{ name: "main", image: "busybox" }] },
        status: { phase: "Running" },
      }),
  );
  assert.deepEqual(workloads.map(({ before }) => before), [{
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      annotations: { "k8s.v1.cni.cncf.io/networks": "lan", "example.com/kept": "yes" },
      name: "p",
    },
    spec: { containers: [{ name: "main", image: "busybox" }] },
  }]);
  assert.ok(findings.some(({ message }) => /is made by ReplicaSet web-1/.test(message)));
});

Deno.test("migrate() drops arguments that no plugin takes, and says so", () => {
  const { classes, findings } = move(
    definition("v", {
      cniVersion: "1.0.0",
      type: "vlan",
      master: "eth0",
      vlanId: 7,
      ipam: hostLocal,
    }) +
      workload("DaemonSet", {
        name: "d",
        networks: [{ name: "v", mac: "02:00:00:00:00:01", bandwidth: { ingressRate: 1 } }],
      }),
  );
  const notes = findings.map(({ level, message }) => `${level} ${message}`);
  assert.equal(notes.length, 2, notes.join("\n"));
  assert.match(notes[0]!, /^note mac of the annotation is left out: no plugin of .* takes it/);
  assert.match(notes[1]!, /^note bandwidth of the annotation is left out/);
  assert.doesNotMatch(JSON.stringify(classes), /capabilities/);
});

Deno.test("migrate() gives a default route as two halves of all addresses, where the IPAM has routes", () => {
  const by = (gateways: string[], ipam: object) =>
    move(
      definition("gw", { ...macvlan, ipam }) +
        workload("DaemonSet", { name: "d", networks: [{ name: "gw", "default-route": gateways }] }),
    );
  const routes = [{ dst: "10.9.0.0/16" }];
  const { classes, findings } = by(["10.0.0.1", "fd00::1"], { ...hostLocal, routes });
  // deno-lint-ignore no-explicit-any -- objects of the API
  const { opaque } = (classes[1]!.object as any).spec.config[0];
  assert.deepEqual(opaque.parameters.config.ipam.routes, [
    { dst: "10.9.0.0/16" },
    { dst: "0.0.0.0/1", gw: "10.0.0.1" },
    { dst: "128.0.0.0/1", gw: "10.0.0.1" },
    { dst: "::/1", gw: "fd00::1" },
    { dst: "8000::/1", gw: "fd00::1" },
  ]);
  assert.deepEqual(findings.map(({ level }) => level), ["note"]);

  const dhcp = by(["10.0.0.1"], { type: "dhcp" });
  assert.deepEqual(dhcp.findings.map(({ level }) => level), ["decide"]);
  assert.match(dhcp.findings[0]!.message, /made 10\.0\.0\.1 the pod's default gateway/);
  assert.match(dhcp.workloads[0]!.comments.join(), /^DECIDE: Multus made/);
});

Deno.test("comments cannot leave their lines", () => {
  const yaml = `${lan}${
    JSON.stringify({
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: {
        name: "res",
        annotations: { "k8s.v1.cni.cncf.io/resourceName": "x\nkind: Pod\u2028y\rz" },
      },
      spec: { config: JSON.stringify({ type: "host-device" }) },
    })
  }`;
  const migration = move(yaml, { "x\nkind: Pod\u2028y\rz": "true" });
  const texts = [stream(migration), ...kustomization(migration).values()];
  for (const text of texts) assert.doesNotMatch(text, /^(kind: Pod|y|z)/m);
  assert.match(texts[0]!, /# DECIDE: No device .* x kind: Pod y z\.\n/);
});

Deno.test("kustomization() gives patches different files, and no file where nothing moved", () => {
  const both = (namespace: string) =>
    definition("lan", macvlan, { namespace }) + pod("p", "lan", {
      metadata: { namespace, annotations: { "k8s.v1.cni.cncf.io/networks": "lan" } },
    });
  const files = kustomization(move(both("a") + both("b")));
  assert.deepEqual([...files.keys()], [
    "device-classes.yaml",
    "claim-templates.yaml",
    "workloads.yaml",
    "patches/pod-a-p.yaml",
    "patches/pod-b-p.yaml",
    "kustomization.yaml",
  ]);
  assert.deepEqual([...kustomization(move("")).keys()], []);
});

Deno.test("textReport() says what became of each object, and ends with a sum", () => {
  const report = textReport(move(lan + pod("p", "lan") + pod("q", "other")));
  assert.deepEqual(report.split("\n"), [
    "f.yaml:1: NetworkAttachmentDefinition default/lan: DeviceClass default.lan",
    "f.yaml:3: Pod p: ResourceClaimTemplate p-networks: net1 of default.lan",
    "f.yaml:3: decide: Pod p: A pod's claims are fixed: delete the pod and create it again.",
    'f.yaml:5: stays with Multus: Pod q: metadata.annotations["k8s.v1.cni.cncf.io/networks"]: ' +
    "NetworkAttachmentDefinition default/other is not among the objects that were read",
    "1 of 1 network and 1 of 2 workloads moved; 1 to leave, 1 to decide",
  ]);
});

Deno.test("migrate() refuses YAML that cannot be read, with its line and column", () => {
  assert.throws(() => move(`${lan}kind: [Pod\n`), /^Error: f\.yaml:\d+:\d+: YAML: /);
});

Deno.test("textReport() keeps each sentence to one line without control characters", () => {
  const name = JSON.stringify("web\u001b[2J\nall is well");
  const yaml = `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name} }\nspec: { containers: [] }\n`;
  const report = textReport(move(yaml));
  assert.match(report, /all is well/);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(report, /\u001b|^all is well/m);
});
