/** What someone who meets `try` today gives it, and what they must be told. */

export interface Input {
  readonly yaml: string;
  readonly flags?: readonly string[];
  /** A file for `--node`, or for `--config`. */
  readonly node?: string;
  readonly config?: string;
  readonly code: 0 | 1 | 2 | 3;
  readonly says: readonly RegExp[];
}

const MACVLAN = "{cniVersion: 1.0.0, name: lan, type: macvlan, master: eth0, " +
  "ipam: {type: host-local, ranges: [[{subnet: 10.10.1.0/24}]]}}";

interface ClaimParts {
  readonly kind?: string;
  readonly deviceClass?: string;
  readonly driver?: string;
  readonly parameters?: string;
  readonly selector?: string;
  readonly request?: string;
}

const parametersOf = (config: string) => `{config: ${config}}`;

function claim(
  {
    kind = "ResourceClaim",
    deviceClass = "network-interface",
    driver = "dra.networking",
    parameters = parametersOf(MACVLAN),
    selector,
    request = "exactly",
  }: ClaimParts = {},
): string {
  const selectors = selector === undefined
    ? ""
    : `, selectors: [{cel: {expression: '${selector}'}}]`;
  const devices =
    `devices: {requests: [{name: lan, ${request}: {deviceClassName: ${deviceClass}${selectors}}}], ` +
    `config: [{opaque: {driver: ${driver}, parameters: ${parameters}}}]}`;
  const spec = kind === "ResourceClaimTemplate" ? `{spec: {${devices}}}` : `{${devices}}`;
  return `apiVersion: resource.k8s.io/v1\nkind: ${kind}\nmetadata: {name: lan}\nspec: ${spec}\n---\n`;
}

function podSpec(
  { reference = "resourceClaimName: lan", use = "lan", more = "" } = {},
): string {
  return `{${more}resourceClaims: [{name: lan, ${reference}}], ` +
    `containers: [{name: main, image: busybox, resources: {claims: [{name: ${use}}]}}]}`;
}

function pod(options: Parameters<typeof podSpec>[0] = {}, metadata = "name: p"): string {
  return `apiVersion: v1\nkind: Pod\nmetadata: {${metadata}}\nspec: ${podSpec(options)}\n---\n`;
}

const TEMPLATE = { reference: "resourceClaimTemplateName: lan" };

function workload(kind: string, spec = "", labels = "app: lan"): string {
  const api = kind.endsWith("Job") ? "batch/v1" : "apps/v1";
  const isJob = kind === "Job";
  const selector = isJob ? "" : "selector: {matchLabels: {app: lan}}, ";
  const more = isJob ? "restartPolicy: Never, " : "";
  return `apiVersion: ${api}\nkind: ${kind}\nmetadata: {name: lan}\nspec: {${spec}${selector}` +
    `template: {metadata: {labels: {${labels}}}, spec: ${podSpec({ ...TEMPLATE, more })}}}\n---\n`;
}

const deviceClass = (expression: string, more = "") =>
  `apiVersion: resource.k8s.io/v1\nkind: DeviceClass\nmetadata: {name: mine}\n` +
  `spec: {selectors: [{cel: {expression: '${expression}'}}]${more}}\n---\n`;

const attribute = (text: string) => `device.attributes["dra.networking"].${text}`;
const ran = /container main created/;
const clean = /torn down; nothing is left/;

export const INPUTS: Readonly<Record<string, Input>> = {
  "a claim and a pod, with the chart's class": {
    yaml: claim() + pod(),
    code: 0,
    says: [/lan gets cni on node-1/, ran, clean],
  },
  "an interface chosen by its attributes": {
    yaml: claim({ deviceClass: "host-interface", selector: attribute("?mtu.orValue(0) >= 1500") }) +
      pod(),
    code: 0,
    says: [/lan gets eth0 on node-1/, ran],
  },
  "an interface that no node has": {
    yaml: claim({ deviceClass: "host-interface", selector: attribute('type == "physical"') }) +
      pod(),
    code: 1,
    says: [
      /FailedScheduling: cannot allocate all claims: node-1: claim lan: .*no device matches/,
      /eth0: spec\.devices\.requests\[0\]\.exactly\.selectors\[0\] is false, as type is "veth"/,
    ],
  },
  "the same, on a node that is described": {
    yaml: claim({
      deviceClass: "host-interface",
      selector: attribute('type == "physical"') + " && " + attribute("speed > 10000"),
      parameters: parametersOf(MACVLAN.replace("master: eth0, ", "")),
    }) + pod(),
    node: "nodes: [{name: node-1, interfaces: [{name: eth1, speed: 25000, mtu: 9000, " +
      'pciBusID: "0000:3b:00.0", numaNode: 1}, {name: eth0, speed: 1000}]}]',
    code: 0,
    says: [/lan gets eth1 on node-1/, ran, clean],
  },
  "an interface that only another node has": {
    yaml: claim({ deviceClass: "host-interface", selector: attribute('interface == "eth7"') }) +
      pod(),
    node: "nodes: [{name: node-1}, {name: node-2, interfaces: [{name: eth7}]}]",
    code: 3,
    says: [
      /lan gets eth7 on node-2/,
      /not everything could be tried:\n {2}pod p: scheduled to node-2, on which no agent runs here/,
    ],
  },
  "an attribute that devices may lack": {
    yaml: claim({ deviceClass: "host-interface", selector: attribute("numaNode == 1") }) + pod(),
    code: 1,
    says: [/no such key: numaNode \(device eth0 of node-1\); read .* with \.\?numaNode\.orValue/],
  },
  "a selector with a syntax error": {
    yaml: claim({ selector: "device.driver = 1" }) + pod(),
    code: 1,
    says: [/cel\.expression: Invalid value: "device\.driver = 1": compilation failed: /],
  },
  "a selector with a field that is not there": {
    yaml: claim({ selector: 'device.attribute["x"].y == 1' }) + pod(),
    code: 1,
    says: [/selectors\[0\]\.cel\.expression: .* undefined field 'attribute'/],
  },
  "a selector that is not a boolean": {
    yaml: claim({ selector: "device.driver" }) + pod(),
    code: 1,
    says: [/must evaluate to bool or the unknown type, not string/],
  },
  "a class that is misspelled": {
    yaml: claim({ deviceClass: "network-interfaces" }) + pod(),
    code: 1,
    says: [/there is no DeviceClass network-interfaces; did you mean network-interface\?/],
  },
  "a driver that is misspelled": {
    yaml: claim({ driver: "dra.networkin" }) + pod(),
    code: 1,
    says: [
      /opaque\.driver: no device of driver "dra\.networkin" .*did you mean "dra\.networking"\?/,
    ],
  },
  "a class of one's own for a driver that is misspelled": {
    yaml: deviceClass('device.driver == "dra.networkin"') + claim({ deviceClass: "mine" }) + pod(),
    code: 1,
    says: [
      /DeviceClass mine: spec\.selectors: no driver has the name "dra\.networkin": did you mean "dra\.networking"\?/,
    ],
  },
  "a field of the claim that is misspelled": {
    yaml: claim().replace("requests:", "request:") + pod(),
    code: 1,
    says: [/spec\.devices\.request: is unknown; .*\(did you mean "requests"\?\)/],
  },
  "a field of the plugin that is misspelled": {
    yaml: claim({ parameters: parametersOf(MACVLAN.replace("master", "mater")) }) + pod(),
    code: 1,
    says: [/config\.mater: .*\(did you mean "master"\?\)/],
  },
  "a network that is none": {
    yaml: claim({ parameters: parametersOf(MACVLAN.replace("10.10.1.0/24", "10.38.0.0/33")) }) +
      pod(),
    code: 1,
    says: [/subnet: invalid CIDR "10\.38\.0\.0\/33"/],
  },
  "a request of the old shape": {
    yaml: claim().replace(
      "exactly: {deviceClassName: network-interface}",
      "deviceClassName: network-interface",
    ) +
      pod(),
    code: 1,
    says: [
      /requests\[0\]\.deviceClassName: is unknown; must be one of name, exactly, firstAvailable/,
    ],
  },
  "a pod that names a claim that is not there": {
    yaml: claim() + pod({ reference: "resourceClaimName: lam" }),
    code: 1,
    says: [/there is no ResourceClaim default\/lam \(did you mean "default\/lan"\?\)/],
  },
  "a container that names a claim that is not the pod's": {
    yaml: claim() + pod({ use: "lam" }),
    code: 1,
    says: [/"lam" is not among the pod's spec\.resourceClaims \(did you mean "lan"\?\)/],
  },
  "a Deployment with a template": {
    yaml: claim({ kind: "ResourceClaimTemplate" }) + workload("Deployment", "replicas: 2, "),
    code: 0,
    says: [/pod lan-0: container main created/, /pod lan-1: container main created/, clean],
  },
  "a StatefulSet": {
    yaml: claim({ kind: "ResourceClaimTemplate" }) + workload("StatefulSet"),
    code: 0,
    says: [/pod lan-0: container main created/],
  },
  "a Job with more pods than run at once": {
    yaml: claim({ kind: "ResourceClaimTemplate" }) + workload("Job", "completions: 3, "),
    code: 0,
    says: [/Job lan: of its 3 pods, those that run at once: 1/, ran],
  },
  "a Deployment whose selector does not fit": {
    yaml: claim({ kind: "ResourceClaimTemplate" }) + workload("Deployment", "", "app: other"),
    code: 1,
    says: [/Deployment lan: .*`selector` does not match template `labels`/],
  },
  "a kind that is misspelled": {
    yaml: claim() + pod().replace("kind: Pod", "kind: Podd"),
    code: 1,
    says: [/Podd .*: there is no such kind in v1 \(did you mean Pod\?\)/],
  },
  "Namespace, ConfigMap and Service beside it": {
    yaml: "apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n---\n" +
      "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {}\n---\n" + claim() + pod(),
    code: 0,
    says: [/Namespace team: passed over/, /Service web: passed over/, ran],
  },
  "a NetworkAttachmentDefinition": {
    yaml:
      "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: lan}\n---\n" +
      claim() + pod(),
    code: 3,
    says: [/NetworkAttachmentDefinition lan: not simulated: it is for Multus: .*from-multus/, ran],
  },
  "a pod with Multus' annotation": {
    yaml: claim() + pod({}, "name: p, annotations: {k8s.v1.cni.cncf.io/networks: lan}"),
    code: 3,
    says: [/not everything could be tried:\n {2}Pod p: not simulated: the annotation/],
  },
  "an extended resource": {
    yaml: deviceClass(
      'device.driver == "dra.networking" && ' + attribute('type == "cni"'),
      `, extendedResourceName: example.com/lan, config: [{opaque: {driver: dra.networking, parameters: ${
        parametersOf(MACVLAN)
      }}}]`,
    ) +
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: main, image: busybox, " +
      "resources: {limits: {example.com/lan: 1}}}]}\n",
    code: 0,
    says: [/claim p-extended-resources-\w+ made for its extended resources/, ran, clean],
  },
  "a DHCP network without its daemon": {
    yaml: claim({
      parameters: parametersOf(
        "{cniVersion: 1.0.0, name: lan, type: macvlan, master: eth0, ipam: {type: dhcp}}",
      ),
    }) + pod(),
    code: 1,
    says: [
      /^network-dra try: pod p: .* failed \(add\): .*dhcp\.sock: connect: no such file or directory$/m,
      /start it on every node: \S+\/dhcp daemon/,
    ],
  },
  "a plugin that claims may not use": {
    yaml: claim({ parameters: parametersOf("{cniVersion: 1.0.0, name: lan, type: portmap}") }) +
      pod(),
    code: 1,
    says: [/refused by policy: claims may not use the plugin "portmap"/],
  },
  "a policy with a misspelled field": {
    yaml: claim() + pod(),
    config: "policy: {plugins: {macvlan: {mster: [eth1]}}}",
    code: 2,
    says: [/policy\.plugins\.macvlan\.mster: is unknown; .*\(did you mean "master"\?\)/],
  },
  "a file for --node with a misspelled field": {
    yaml: claim() + pod(),
    node: "nodes: [{name: node-1, interfaces: [{name: eth1, sped: 1000}]}]",
    code: 2,
    says: [/nodes\[0\]\.interfaces\[0\]\.sped: is unknown; .*\(did you mean "speed"\?\)/],
  },
  "no pod at all": {
    yaml: claim(),
    code: 1,
    says: [/the files contain no Pod and no workload that would use the claims/],
  },
};
