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

Deno.test("lint() says what is wrong with a claim, on which line, and who would say it", async (t) => {
  const cases: Record<string, [string, string[], LintOptions?]> = {
    "nothing": [files(), []],
    "a field that is not known": [
      files().replace("selectors:", "selector:"),
      [
        "10 error api-server ResourceClaim lan: spec.devices.requests[0].exactly.selector: is not known; " +
        "allowed are adminAccess, deviceClassName, selectors, allocationMode, count, tolerations, " +
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
        '14 error api-server ResourceClaim lan: spec.devices.config[0].requests[0]: "lam" is no request ' +
        'of the claim, which has lan (did you mean "lan"?)',
      ],
    ],
    "a driver that no class selects": [
      files({ driver: "dra.networkin" }),
      [
        "16 error driver ResourceClaim lan: spec.devices.config[0].opaque.driver: no device of driver " +
        '"dra.networkin" is selected by DeviceClass network-interface: did you mean "dra.networking"? ' +
        "(--driver-name dra.networkin is for an agent that is called so)",
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
    "a claim that is not in the files": [
      files({ claimName: "lam" }),
      [
        "25 warning reference Pod p: spec.resourceClaims[0].resourceClaimName: " +
        "ResourceClaim default/lam is not in the files; did you mean default/lan?",
      ],
    ],
    "a kind of parameters that is not known": [
      files({ parameters: "{apiVersion: dra.networking/v1alpha1, kind: Netwrok, config: {}}" }),
      [
        `17 error agent ResourceClaim lan: ${PARAMETERS}.kind: "Netwrok" is not known; allowed are ` +
        "dra.networking/v1alpha1 Network, cni.networking.x-k8s.io/v1alpha1 CNIConfig (or CNI), or no " +
        "apiVersion and kind",
      ],
    ],
    "a plugin's field that is not known": [
      files({ parameters: MACVLAN.replace("master", "mater") }),
      [
        `17 error policy ResourceClaim lan: ${PARAMETERS}.config.mater: refused by policy: no such field ` +
        'is known of this plugin, and plugins read names in any case (did you mean "master"?) ' +
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
        'among what is allowed: "eth1" (an administrator can change policy.plugins.macvlan.master in ' +
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
        "the parameters of a ResourceClaim, as docs/from-multus.md shows",
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
