import assert from "node:assert/strict";
import { EXAMPLES, readExample } from "../../tests/support/examples.ts";
import { parsePolicy } from "../claim/policy_config.ts";
import { lint, type LintOptions } from "./lint.ts";
import { jsonReport, sarifReport, textReport } from "./reports.ts";

interface Parts {
  readonly driver?: string;
  readonly parameters?: string;
  readonly deviceClass?: string;
  readonly selector?: string;
  readonly requests?: string;
  readonly claimName?: string;
}

const MACVLAN =
  "{config: {cniVersion: 1.0.0, name: lan, type: macvlan, master: eth0, ipam: {type: host-local, subnet: 10.1.0.0/24}}}";

/** A claim and its pod, with one thing other than it should be. The claim's fields stand in fixed lines. */
function files(
  {
    driver = "dra.networking",
    parameters = MACVLAN,
    deviceClass = "network-interface",
    selector = "true",
    requests = "[lan]",
    claimName = "lan",
  }: Parts = {},
): string {
  return `apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: lan}
spec:
  devices:
    requests:
    - name: lan
      exactly:
        deviceClassName: ${deviceClass}
        selectors:
        - cel:
            expression: '${selector}'
    config:
    - requests: ${requests}
      opaque:
        driver: ${driver}
        parameters: ${parameters}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  resourceClaims:
  - name: lan
    resourceClaimName: ${claimName}
  containers: [{name: main, image: busybox}]
`;
}

function report(text: string, options: LintOptions = {}): string[] {
  return lint([{ file: "f.yaml", text }], options)
    .map(({ line, level, rule, object, message }) =>
      `${line} ${level} ${rule} ${object}: ${message}`
    );
}

const PARAMETERS = "spec.devices.config[0].opaque.parameters";

/** A claim with these parameters, and more of them. */
function naming(parameters: string): string {
  return `apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata:
  name: lan
spec:
  devices:
    requests:
      - name: lan
        exactly:
          deviceClassName: network-interface
    config:
      - opaque:
          driver: dra.networking
          parameters:
            apiVersion: dra.networking/v1alpha1
            ${parameters.split(", ").join("\n            ")}
            kind: Network
`;
}

const NETWORK = `---
apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {}}
---
apiVersion: dra.networking/v1alpha1
kind: Network
metadata: {name: lan}
spec:
  config: {cniVersion: 1.0.0, type: bridge}
  namespaceSelector: {matchLabels: {tier: web}}
`;

const DEFINITION = `---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: lan}
spec:
  config: '{"cniVersion": "1.0.0", "type": "bridge", "isGateway": true}'
`;

Deno.test("lint() says what is wrong with a claim, on which line, and who would say it", async (t) => {
  const cases: Record<string, [string, string[], LintOptions?]> = {
    "nothing": [files(), []],
    "a field that is not known": [
      files().replace("selectors:", "selector:"),
      [
        "10 error api-server ResourceClaim lan: spec.devices.requests[0].exactly.selector: is unknown; " +
        "must be one of adminAccess, deviceClassName, selectors, allocationMode, count, tolerations, " +
        'capacity, derivedAttributes (did you mean "selectors"?)',
      ],
    ],
    "a selector that does not compile": [
      files({ selector: 'device.drver == "x"' }),
      [
        "12 error api-server ResourceClaim lan: " +
        "spec.devices.requests[0].exactly.selectors[0].cel.expression: Invalid value: " +
        '"device.drver == \\"x\\"": compilation failed: ERROR: <input>:1:8: undefined field \'drver\'',
      ],
    ],
    "a request that is not there": [
      files({ requests: "[lam]" }),
      [
        '14 error api-server ResourceClaim lan: spec.devices.config[0].requests[0]: "lam" is not a ' +
        'request of the claim; its requests are lan (did you mean "lan"?)',
      ],
    ],
    "a driver that no class selects": [
      files({ driver: "dra.networkin" }),
      [
        "16 error driver ResourceClaim lan: spec.devices.config[0].opaque.driver: no device of driver " +
        '"dra.networkin" is selected by DeviceClass network-interface: did you mean "dra.networking"? ' +
        "(set --driver-name dra.networkin if the agent has that name)",
      ],
    ],
    "a driver that the agent is called by": [
      files({ driver: "lan.example.com" }),
      [],
      { driver: "lan.example.com" },
    ],
    "a class that is not in the files": [
      files({ deviceClass: "network-interfaces" }),
      [
        "9 warning reference ResourceClaim lan: spec.devices.requests[0].exactly.deviceClassName: " +
        "DeviceClass network-interfaces is not in the files; did you mean network-interface?",
      ],
    ],
    "a claim that cannot be read is not called missing as well": [
      files().replace("  devices:", "\tdevices:"),
      [
        "5 error api-server YAML: a tab in the indentation, where YAML takes only spaces: replace it by " +
        "spaces",
      ],
    ],
    "a class that cannot be read is not called missing as well": [
      `${files({ deviceClass: "lan" })}---
apiVersion: resource.k8s.io/v2
kind: DeviceClass
metadata: {name: lan}
`,
      [
        "28 error api-server DeviceClass lan: apiVersion resource.k8s.io/v2 is unknown; must be one of " +
        "resource.k8s.io/v1, resource.k8s.io/v1beta2, resource.k8s.io/v1beta1, " +
        'resource.k8s.io/v1alpha3 (did you mean "resource.k8s.io/v1"?)',
      ],
    ],
    "a template written as a claim": [
      files().replace("kind: ResourceClaim\n", "kind: ResourceClaimTemplate\n")
        .replace("resourceClaimName", "resourceClaimTemplateName"),
      [
        "5 error api-server ResourceClaimTemplate lan: spec.devices: a template has the claim's spec in " +
        "spec.spec: move it there",
      ],
    ],
    "a template where a claim is meant": [
      files().replace("resourceClaimName", "resourceClaimTemplateName"),
      [
        "25 warning reference Pod p: spec.resourceClaims[0].resourceClaimTemplateName: " +
        "ResourceClaimTemplate default/lan is not in the files; default/lan is a ResourceClaim: name it " +
        "in resourceClaimName",
      ],
    ],
    "one interface name for two devices": [
      files({ parameters: MACVLAN.replace("{", "{interface: lan, ") }).replace(
        "        selectors:",
        "        count: 2\n        selectors:",
      ),
      [
        '5 error agent ResourceClaim lan: spec.devices: the interface name "lan" is requested twice in ' +
        "the pod: by claim default/lan request lan, which has several devices; leave interfaceName out",
      ],
    ],
    "inputs of kustomize": [
      "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [lan.yaml]\n",
      [
        '1 warning not-run Kustomization: it is an input of kustomize: render it first with "kubectl ' +
        'kustomize"',
      ],
    ],
    "a claim that is not in the files": [
      files({ claimName: "lam" }),
      [
        "25 warning reference Pod p: spec.resourceClaims[0].resourceClaimName: " +
        "ResourceClaim default/lam is not in the files; did you mean default/lan?",
      ],
    ],
    "a request that the container's claim does not have": [
      files().replace(
        "image: busybox",
        "image: busybox, resources: {claims: [{name: lan, request: lam}]}",
      ),
      [
        '26 warning reference Pod p: spec.containers[0].resources.claims[0].request: "lam" is not a ' +
        'request of ResourceClaim default/lan; its requests are lan (did you mean "lan"?)',
      ],
    ],
    "a request that the container's claim has": [
      files().replace(
        "image: busybox",
        "image: busybox, resources: {claims: [{name: lan, request: lan}]}",
      ),
      [],
    ],
    "a pod on the host's network": [
      files().replace("resourceClaims:", "hostNetwork: true\n  resourceClaims:"),
      [
        "23 error agent Pod p: spec.hostNetwork: the pod uses the host's network, to which " +
        "ResourceClaim lan cannot add an interface: use hostNetwork: false, or a pod without the claim",
      ],
    ],
    "a pod on the host's network with the claim of another driver": [
      files({ deviceClass: "gpu", driver: "gpu.example.com" })
        .replace("resourceClaims:", "hostNetwork: true\n  resourceClaims:") +
      "---\napiVersion: resource.k8s.io/v1\nkind: DeviceClass\nmetadata: {name: gpu}\n" +
      `spec: {selectors: [{cel: {expression: 'device.driver == "gpu.example.com"'}}]}\n`,
      [],
      { driver: "dra.networking" },
    ],
    "a claim of no use to a pod that names it": [
      files().replace(
        /devices:\n {4}requests:\n(.*\n){6} {4}config/,
        "devices:\n    requests: no\n    config",
      ),
      ["6 error api-server ResourceClaim lan: spec.devices.requests: must be a list, not false"],
    ],
    "an alias without an anchor": ["a: *b\n", [
      "1 error api-server YAML: a value that begins with * refers to an anchor, and there is no &b: " +
      "put it in quotes if it is text",
    ]],
    "a file without an object": ["# nothing\n---\n", [
      "1 warning not-run file: contains no Kubernetes object",
    ]],
    "a claim of another namespace": [
      files().replace("metadata: {name: lan}", "metadata: {name: lan, namespace: team-a}"),
      [
        "25 warning reference Pod p: spec.resourceClaims[0].resourceClaimName: " +
        "ResourceClaim default/lan is not in the files; team-a/lan cannot be used: a pod uses what is " +
        "in its own namespace",
      ],
    ],
    "a kind of parameters that is not known": [
      files({ parameters: "{apiVersion: dra.networking/v1alpha1, kind: Netwrok, config: {}}" }),
      [
        `17 error agent ResourceClaim lan: ${PARAMETERS}.kind: "Netwrok" is unknown; must be one of ` +
        "dra.networking/v1alpha1 Network, cni.networking.x-k8s.io/v1alpha1 CNIConfig (or CNI), or no " +
        "apiVersion and kind",
      ],
    ],
    "a plugin's field that is not known": [
      files({ parameters: MACVLAN.replace("master", "mater") }),
      [
        `17 error policy ResourceClaim lan: ${PARAMETERS}.config.mater: refused by policy: is not a known ` +
        'field of this plugin, and plugins ignore the case of names (did you mean "master"?) ' +
        "(an administrator can change policy.plugins.macvlan.mater in the agent's configuration file)",
      ],
    ],
    "a network that is none": [
      files({ parameters: MACVLAN.replace("10.1.0.0/24", "10.38.0.0/33") }),
      [
        `17 error agent ResourceClaim lan: ${PARAMETERS}.config.ipam.subnet: invalid CIDR "10.38.0.0/33"`,
      ],
    ],
    "a master that a policy refuses": [
      files(),
      [
        `17 error policy ResourceClaim lan: ${PARAMETERS}.config.master: refused by policy: "eth0" is not ` +
        'allowed; the policy allows "eth1" (an administrator can change policy.plugins.macvlan.master in ' +
        "the agent's configuration file)",
      ],
      { policy: parsePolicy({ plugins: { macvlan: { master: ["eth1"] } } }) },
    ],
    "no configuration at all": [
      files().replace(/ {4}config:[^]*?---/, "---"),
      [
        "7 error agent ResourceClaim lan: spec.devices.requests[0]: no configuration applies to it; add " +
        "one for this driver to spec.devices.config of the claim, or to spec.config of its device class",
      ],
    ],
    "a network of Multus": [
      "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: lan}\n",
      [
        "1 warning not-run NetworkAttachmentDefinition lan: it is for Multus: put its configuration into " +
        "the parameters of a ResourceClaim, as docs/how-to/from-multus.md shows, or name it there " +
        "(networkAttachmentDefinition)",
      ],
    ],
    "a Network that the API server would refuse": [
      "apiVersion: dra.networking/v1alpha1\nkind: Network\nmetadata: {name: lan}\nspec:\n" +
      "  config: {type: macvlan}\n  mtu: 12\n",
      [
        "6 error api-server Network lan: spec.mtu: must be a whole number from 68 to 65535, not 12",
      ],
    ],
    "a Network of another version": [
      "apiVersion: dra.networking/v1\nkind: Network\nmetadata: {name: lan}\n",
      [
        "1 error api-server Network lan: apiVersion dra.networking/v1 is unknown; must be " +
        "dra.networking/v1alpha1",
      ],
    ],
    "somebody else's Network": [
      "apiVersion: config.openshift.io/v1\nkind: Network\nmetadata: {name: cluster}\n",
      [],
    ],
    "a Network that is not for the claim's namespace": [
      naming("networkName: lan") + NETWORK,
      [
        "16 error agent ResourceClaim lan: spec.devices.config[0].opaque.parameters.networkName: Network lan " +
        "is not for claims in namespace default: its namespaceSelector (tier=web) does not select the " +
        "namespace",
      ],
    ],
    "a Network that is, and an argument that no plugin takes": [
      naming("networkName: lan, capabilities: {mac: 02:00:00:00:00:01}") +
      NETWORK.replace("{}", "{tier: web}"),
      [
        "17 error agent ResourceClaim lan: spec.devices.config[0].opaque.parameters.capabilities.mac: no " +
        'plugin of network "lan" accepts it; add "capabilities": {"mac": true} to the plugin that does',
      ],
    ],
    "a Network with an ipam beside its addresses": [
      "apiVersion: dra.networking/v1alpha1\nkind: Network\nmetadata: {name: lan}\nspec:\n" +
      "  config: {type: macvlan, ipam: {type: dhcp}}\n" +
      "  addresses: {pools: [{subnet: 10.38.0.0/24}]}\n",
      [
        '6 error api-server Network lan: spec.addresses: the plugin "macvlan" has an ipam of its own: leave ' +
        "it out, or leave the addresses out",
      ],
    ],
    "a Network with a subnet that has host bits": [
      "apiVersion: dra.networking/v1alpha1\nkind: Network\nmetadata: {name: lan}\nspec:\n" +
      "  config: {type: macvlan}\n  addresses:\n    pools:\n      - subnet: 10.38.0.5/24\n",
      [
        '8 error api-server Network lan: spec.addresses.pools[0].subnet: "10.38.0.5/24" has host bits set: ' +
        "write 10.38.0.0/24",
      ],
    ],
    "an address that is not the Network's": [
      naming('networkName: lan, capabilities: {ips: ["10.39.0.5"]}') +
      NETWORK.replace("{}", "{tier: web}") + "  addresses: {pools: [{subnet: 10.38.0.0/24}]}\n",
      [
        "17 error agent ResourceClaim lan: spec.devices.config[0].opaque.parameters.capabilities.ips[0]: " +
        "10.39.0.5 is in no subnet of the network (10.38.0.0/24)",
      ],
    ],
    "a NetworkAttachmentDefinition that is not in the files": [
      naming("networkAttachmentDefinition: infra/lan"),
      [
        "16 warning reference ResourceClaim lan: spec.devices.config[0].opaque.parameters." +
        "networkAttachmentDefinition: NetworkAttachmentDefinition infra/lan is not in the files",
      ],
    ],
    "a NetworkAttachmentDefinition is held to the policy": [
      naming("networkAttachmentDefinition: lan") + DEFINITION,
      [
        "16 error policy ResourceClaim lan: spec.devices.config[0].opaque.parameters." +
        "networkAttachmentDefinition: default/lan: spec.config.isGateway: " +
        "refused by policy: true: the node would take the gateway's address and forward packets (an " +
        "administrator can change policy.plugins.bridge.isGateway in the agent's configuration file)",
      ],
    ],
    "one of a namespace that is trusted is not": [
      naming("networkAttachmentDefinition: lan") + DEFINITION,
      [],
      { policy: parsePolicy({ trustedDefinitions: ["default"] }) },
    ],
    "one that is not a configuration": [
      naming("networkAttachmentDefinition: lan") + DEFINITION.replace('"type": "bridge", ', ""),
      [
        "16 error agent ResourceClaim lan: spec.devices.config[0].opaque.parameters." +
        "networkAttachmentDefinition: NetworkAttachmentDefinition default/lan is not valid: spec.config: " +
        'must have "plugins" (a network list) or "type" (a single plugin)',
      ],
    ],
  };
  for (const [name, [text, expected, options]] of Object.entries(cases)) {
    await t.step(name, () => assert.deepEqual(report(text, options), expected));
  }
});

Deno.test("lint() finds a class's mistakes where the class stands", () => {
  const text = `apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: lan}
spec:
  config:
  - opaque:
      driver: dra.networking
      parameters: {config: {name: lan, typ: macvlan}}
---
` + files({ deviceClass: "lan" }).replace(/ {4}config:[^]*?---/, "---");
  assert.deepEqual(report(text), [
    '8 error agent DeviceClass lan: spec.config[0].opaque.parameters.config: must have "plugins" (a ' +
    'network list) or "type" (a single plugin)',
  ]);
});

for (const name of EXAMPLES) {
  Deno.test(`lint() finds nothing in the example ${name}`, async () => {
    const { file } = await readExample(name);
    assert.deepEqual(report(await Deno.readTextFile(file)), []);
  });
}

Deno.test("reports say the same for people, programs and code hosts", () => {
  const problems = lint([{ file: "f.yaml", text: files({ driver: "dra.networkin" }) }]);
  assert.match(
    textReport(problems, 1),
    /^f\.yaml:16: error: ResourceClaim lan: .* \[driver\]\n1 file: 1 error, 0 warnings$/,
  );
  assert.deepEqual(JSON.parse(jsonReport(problems)).problems, problems);
  const { version, runs: [run] } = JSON.parse(sarifReport(problems, "1.2.3"));
  assert.equal(version, "2.1.0");
  assert.equal(run.tool.driver.version, "1.2.3");
  const [{ ruleId, level, locations: [{ physicalLocation }] }] = run.results;
  assert.deepEqual([ruleId, level], ["driver", "error"]);
  assert.ok(run.tool.driver.rules.some(({ id }: { id: string }) => id === ruleId));
  assert.deepEqual(physicalLocation, {
    artifactLocation: { uri: "f.yaml" },
    region: { startLine: 16 },
  });
});
