/**
 * Mistakes that new users make: each is a change or two of a claim and a pod that are right (`RIGHT`).
 * docs/reference/mistakes.md says what is printed for each (`deno task docs:mistakes`), and
 * tests/integration/mistakes_test.ts holds it.
 */

/** A claim and its pod without a mistake. */
export const RIGHT = `apiVersion: resource.k8s.io/v1
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
      - requests: [lan]
        opaque:
          driver: dra.networking
          parameters:
            apiVersion: dra.networking/v1alpha1
            kind: Network
            interfaceName: lan
            config:
              cniVersion: 1.0.0
              name: lan
              type: macvlan
              master: eth0
              ipam:
                type: host-local
                subnet: 10.10.1.0/24
---
apiVersion: v1
kind: Pod
metadata:
  name: demo
spec:
  resourceClaims:
    - name: lan
      resourceClaimName: lan
  containers:
    - name: main
      image: busybox
      command: [sleep, infinity]
      resources:
        claims: [{ name: lan }]
`;

/** What stands in place of what in RIGHT, where it stands once. */
type Change = readonly [right: string, wrong: string];

export interface Mistake {
  readonly changes: readonly Change[];
  /** What the user wrote, for readers: the changed lines, where it is not given. */
  readonly wrote?: string;
  /** The agent's configuration file (`--config`). */
  readonly config?: string;
  /** The command that says it: lint knows nothing of the node, and of what plugins do. */
  readonly command: "lint" | "try";
  /** What `try` of commit 420ed6b ended with; the DeviceClasses that it needed were added to the file. */
  readonly before: string;
}

/** RIGHT with the mistake in it. */
export function mistaken({ changes }: Pick<Mistake, "changes">): string {
  return changes.reduce((text, [right, wrong]) => {
    if (text.split(right).length !== 2) throw new Error(`not once in the file: ${right}`);
    return text.replace(right, () => wrong);
  }, RIGHT);
}

const [CLAIM, POD] = RIGHT.split("---\n") as [string, string];
const IPAM = "type: host-local\n                subnet: 10.10.1.0/24";
const PLUGIN = CLAIM.slice(CLAIM.indexOf("type: macvlan")).trimEnd();
const CONFIG = CLAIM.slice(CLAIM.indexOf("cniVersion")).trimEnd();
const PARAMETERS = CLAIM.slice(CLAIM.indexOf("apiVersion: dra.networking")).trimEnd();
const CONFIGS = CLAIM.slice(CLAIM.indexOf("    config:\n      - requests"));
const CLASS = "deviceClassName: network-interface";

/** With a selector in the request, which is for an interface of the node. */
function selector(expression: string): Pick<Mistake, "changes" | "wrote"> {
  const selectors = `selectors: [{ cel: { expression: '${expression}' } }]`;
  return {
    changes: [[CLASS, `deviceClassName: host-interface\n          ${selectors}`]],
    wrote: expression,
  };
}

const attribute = (text: string) => `device.attributes["dra.networking"].${text}`;

type Group = Readonly<Record<string, Mistake>>;

/** By where the mistake is, and by what it is. */
export const MISTAKES: Readonly<Record<string, Group>> = {
  "In the plugin's configuration": {
    "a field is misspelled": {
      changes: [["master: eth0", "mater: eth0"]],
      command: "lint",
      before:
        "… parameters.config.mater: refused by policy: no such field is known of this plugin, and plugins read names in any case (an administrator can change policy.plugins.macvlan.mater in the agent's configuration file)",
    },
    "a field in another case": {
      changes: [["master: eth0", "Master: eth0"]],
      command: "lint",
      before:
        "… parameters.config.Master: refused by policy: no such field is known of this plugin, and plugins read names in any case (an administrator can change policy.plugins.macvlan.Master in the agent's configuration file)",
    },
    "the plugin's name is misspelled": {
      changes: [["type: macvlan", "type: macvlna"]],
      command: "lint",
      before:
        '… parameters.config.type: refused by policy: claims may not use the plugin "macvlna" (an administrator can change policy.plugins.macvlna in the agent\'s configuration file)',
    },
    "the IPAM plugin's name is misspelled": {
      changes: [["type: host-local", "type: hostlocal"]],
      command: "lint",
      before:
        '… parameters.config.ipam.type: refused by policy: claims may not use the IPAM plugin "hostlocal" (an administrator can change policy.ipam.hostlocal in the agent\'s configuration file)',
    },
    "a field of the IPAM plugin is misspelled": {
      changes: [["subnet: 10.10.1.0/24", "sbnet: 10.10.1.0/24"]],
      command: "lint",
      before:
        "… parameters.config.ipam.sbnet: refused by policy: no such field is known of this plugin, and plugins read names in any case (an administrator can change policy.ipam.host-local.sbnet in the agent's configuration file)",
    },
    "`plugins` is not a list": {
      changes: [[PLUGIN, "plugins:\n                type: macvlan"]],
      wrote: "plugins: { type: macvlan }",
      command: "lint",
      before: '… parameters.config.plugins: must be a list, not {"type":"macvlan"}',
    },
    "neither `type` nor `plugins`": {
      changes: [["type: macvlan", "typ: macvlan"]],
      command: "lint",
      before:
        '… parameters.config: must have "plugins" (a network list) or "type" (a single plugin)',
    },
    "the network has no name": {
      changes: [["name: lan\n              type", "type"]],
      wrote: "no name",
      command: "lint",
      before: "… parameters.config.name: must be a string that is not empty, not missing",
    },
    "a version that does not exist": {
      changes: [["cniVersion: 1.0.0", "cniVersion: 2.0.0"]],
      command: "lint",
      before:
        '… parameters.config.cniVersion: "2.0.0" is not known; allowed are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0',
    },
    "a version that YAML reads as a number": {
      changes: [["cniVersion: 1.0.0", "cniVersion: 1.0"]],
      command: "lint",
      before: "… parameters.config.cniVersion: must be a string that is not empty, not 1",
    },
    "JSON in a string, as in a NetworkAttachmentDefinition": {
      changes: [[
        `config:\n              ${CONFIG}`,
        `config: '{"cniVersion": "1.0.0", "type": "macvlan"}'`,
      ]],
      command: "lint",
      before:
        "… parameters.config: must be an object, not a string: write the JSON as YAML or inline",
    },
    "a range that does not exist": {
      changes: [["subnet: 10.10.1.0/24", "subnet: 10.10.1.0/33"]],
      command: "lint",
      before:
        '… parameters.config.ipam.subnet: refused by policy: "10.10.1.0/33" is no network (an administrator can change policy.ipam.host-local.subnet in the agent\'s configuration file)',
    },
    "an address without its prefix length": {
      changes: [[IPAM, "type: static\n                addresses: [{ address: 10.10.1.2 }]"]],
      command: "lint",
      before:
        '… parameters.config.ipam.addresses[0].address: refused by policy: "10.10.1.2" is no address such as 10.1.2.3/24 (an administrator can change policy.ipam.static.addresses in the agent\'s configuration file)',
    },
    "addresses that the plugin does not take": {
      changes: [[IPAM, "type: static"], [
        "            config:\n              cni",
        "            capabilities: { ips: [10.10.1.2/24] }\n            config:\n              cni",
      ]],
      wrote: "capabilities: { ips: [10.10.1.2/24] }",
      command: "lint",
      before:
        '… parameters.capabilities.ips: no plugin of network "lan" takes it; add "capabilities": {"ips": true} to the plugin that does',
    },
    "an MTU below what IPv6 needs": {
      changes: [["master: eth0", "master: eth0\n              mtu: 500"]],
      command: "lint",
      before:
        "… parameters.config.mtu: refused by policy: 500 is no whole number from 1280 to 65535 (an administrator can change policy.plugins.macvlan.mtu in the agent's configuration file)",
    },
    "a MAC address of a manufacturer": {
      changes: [["master: eth0", "master: eth0\n              mac: 00:1b:21:3c:4d:5e"]],
      command: "lint",
      before:
        '… parameters.config.mac: refused by policy: "00:1b:21:3c:4d:5e" is no locally administered MAC address such as 02:00:5e:10:00:01; others are those of machines and routers (an administrator can change policy.plugins.macvlan.mac in the agent\'s configuration file)',
    },
    "a VLAN that does not exist": {
      changes: [["type: macvlan", "type: vlan\n              vlanId: 5000"]],
      command: "lint",
      before:
        "… parameters.config.vlanId: refused by policy: 5000 is no whole number from 0 to 4094 (an administrator can change policy.plugins.vlan.vlanId in the agent's configuration file)",
    },
    "a mode that does not exist": {
      changes: [["master: eth0", "master: eth0\n              mode: brigde"]],
      command: "lint",
      before:
        '… parameters.config.mode: refused by policy: "brigde" is not "" or "bridge" or "private" or "vepa" (an administrator can change policy.plugins.macvlan.mode in the agent\'s configuration file)',
    },
  },
  "In the parameters": {
    "apiVersion and kind are missing": {
      changes: [[
        "            apiVersion: dra.networking/v1alpha1\n            kind: Network\n",
        "",
      ]],
      wrote: "interfaceName: lan, without apiVersion and kind",
      command: "lint",
      before: "… parameters.interfaceName: is not known; allowed are interface, config",
    },
    "the kind is misspelled": {
      changes: [["kind: Network\n", "kind: Netwrok\n"]],
      command: "lint",
      before:
        '… parameters.kind: "Netwrok" is not known; allowed are dra.networking/v1alpha1 Network, cni.networking.x-k8s.io/v1alpha1 CNIConfig (or CNI), or no apiVersion and kind',
    },
    "a field in another case": {
      changes: [["interfaceName: lan", "interfacename: lan"]],
      command: "lint",
      before:
        "… parameters.interfacename: is not known; allowed are apiVersion, kind, metadata, interfaceName, config, networkName, capabilities",
    },
    "an interface name that is too long": {
      changes: [["interfaceName: lan", "interfaceName: production-network"]],
      command: "lint",
      before:
        '… parameters.interfaceName: the interface name "production-network" has 18 bytes; allowed are 1 to 15',
    },
    "the name of the pod's own interface": {
      changes: [["interfaceName: lan", "interfaceName: eth0"]],
      command: "lint",
      before: '… parameters.interfaceName: "eth0" is an interface that the pod has already',
    },
    "a configuration and a name": {
      changes: [["interfaceName: lan", "networkName: lan"]],
      wrote: "networkName: lan, beside config",
      command: "lint",
      before: "… parameters.config: must be left out: networkName says which is meant",
    },
    "nothing in them": {
      changes: [[`parameters:\n            ${PARAMETERS}`, "parameters: {}"]],
      command: "lint",
      before: "… parameters.config: is missing: it holds the CNI configuration",
    },
  },
  "In the claim": {
    "one interface name for several devices": {
      changes: [[CLASS, `${CLASS}\n          count: 2`]],
      command: "lint",
      before:
        '… the interface name "lan" is asked for twice in the pod: by claim default/lan request lan and by claim default/lan request lan; give one of them another name',
    },
    "no configuration at all": {
      changes: [[CONFIGS, ""]],
      wrote: "no config",
      command: "lint",
      before:
        "… NodePrepareResources: claim default/lan: request lan: no configuration applies to it; add one for this driver to spec.devices.config of the claim, or to spec.config of its device class",
    },
    "a request of the beta API": {
      changes: [[`exactly:\n          ${CLASS}`, CLASS]],
      wrote: "a request without exactly",
      command: "lint",
      before:
        "… spec.devices.requests[0].deviceClassName: is not known; allowed are name, exactly, firstAvailable",
    },
    "a request of the v1 API under an alpha version": {
      changes: [["resource.k8s.io/v1\n", "resource.k8s.io/v1alpha3\n"]],
      command: "lint",
      before:
        "… spec.devices.requests[0].exactly.exactly: is not known; allowed are adminAccess, deviceClassName, selectors, allocationMode, count, tolerations, capacity, derivedAttributes",
    },
    "a version of the API that does not exist": {
      changes: [["resource.k8s.io/v1\n", "resource.k8s.io/v2\n"]],
      command: "lint",
      before:
        "lan.yaml:1: ResourceClaim: apiVersion resource.k8s.io/v2 is not known; resource.k8s.io/v1, v1alpha3, v1beta1, v1beta2 are",
    },
    "`request` for `requests`": {
      changes: [["    requests:\n      - name", "    request:\n      - name"]],
      wrote: "request:",
      command: "lint",
      before: "… spec.devices.request: is not known; allowed are requests, constraints, config",
    },
    "the configuration is for a request that does not exist": {
      changes: [["requests: [lan]", "requests: [lam]"]],
      command: "lint",
      before:
        '… spec.devices.config[0].requests[0]: "lam" is no request of the claim, which has lan',
    },
    "the driver is misspelled": {
      changes: [["driver: dra.networking\n", "driver: dra.networkin\n"]],
      command: "lint",
      before: "exit code 0: the pod ran",
    },
    "the driver of another installation": {
      changes: [["driver: dra.networking\n", "driver: poc.dra.networking\n"]],
      command: "lint",
      before: "exit code 0: the pod ran",
    },
    "the class is misspelled": {
      changes: [[CLASS, "deviceClassName: network-interfaces"]],
      command: "try",
      before:
        "network-dra try: claim lan: spec.devices.requests[0]: there is no DeviceClass network-interfaces; add it to the files",
    },
    "no class": {
      changes: [[`exactly:\n          ${CLASS}`, "exactly: {}"]],
      command: "lint",
      before:
        "… spec.devices.requests[0].exactly.deviceClassName: must be a string that is not empty, not missing",
    },
    "a name with capitals": {
      changes: [["metadata:\n  name: lan\nspec", "metadata:\n  name: LAN\nspec"]],
      wrote: "metadata: { name: LAN }",
      command: "lint",
      before:
        'lan.yaml:1: ResourceClaim LAN: metadata.name: "LAN" must be made of a to z, 0 to 9, "." and "-"',
    },
    "a count that is not a number": {
      changes: [[CLASS, `${CLASS}\n          count: two`]],
      wrote: "count: two",
      command: "lint",
      before: '… spec.devices.requests[0].exactly.count: must be a whole number, not "two"',
    },
    "the kind in the plural": {
      changes: [["kind: ResourceClaim\n", "kind: ResourceClaims\n"]],
      command: "lint",
      before:
        "lan.yaml:1: ResourceClaims is not simulated; ResourceClaim, ResourceClaimTemplate, DeviceClass, Pod are",
    },
    "a tab": {
      changes: [["    requests:\n      - name", "\trequests:\n      - name"]],
      wrote: "a tab before requests",
      command: "lint",
      before: "lan.yaml:7: Tabs are not allowed as indentation at line 7, column 1",
    },
    "no space after a colon": {
      changes: [["metadata:\n  name: lan\nspec", "metadata:\n  name:lan\nspec"]],
      wrote: "name:lan",
      command: "lint",
      before: "lan.yaml:1: ResourceClaim: metadata.name is missing",
    },
    "a quote that is not closed": {
      changes: [["subnet: 10.10.1.0/24", 'subnet: "10.10.1.0/24']],
      command: "lint",
      before: 'lan.yaml:42: Missing closing "quote at line 42, column 1',
    },
    "one space too many": {
      changes: [["    config:\n      - requests", "     config:\n      - requests"]],
      wrote: "a space too many before config",
      command: "lint",
      before: "lan.yaml:11: All mapping items must start at the same column at line 11, column 1",
    },
    "a field at the top is misspelled": {
      changes: [["lan\nspec:\n  devices", "lan\nsepc:\n  devices"]],
      wrote: "sepc:",
      command: "lint",
      before: "lan.yaml:1: ResourceClaim lan: spec: must be an object, not missing",
    },
    "a key twice": {
      changes: [["    requests:\n      - name", "    requests: []\n    requests:\n      - name"]],
      wrote: "requests: twice",
      command: "lint",
      before: "lan.yaml:8: Map keys must be unique at line 8, column 5",
    },
  },
  "In selectors": {
    "`=` for `==`": {
      ...selector('device.driver = "dra.networking"'),
      command: "lint",
      before: "exit code 0: the pod ran",
    },
    "`attribute` for `attributes`": {
      ...selector('device.attribute["dra.networking"].mtu > 1'),
      command: "lint",
      before: "exit code 0: the pod ran",
    },
    "an expression that is neither true nor false": {
      ...selector("device.driver"),
      command: "lint",
      before: "exit code 0: the pod ran",
    },
    "a number in quotes": {
      ...selector(attribute('mtu >= "9000"')),
      command: "try",
      before: "exit code 0: the pod ran",
    },
    "an attribute that devices may lack": {
      ...selector(attribute("numaNode == 0")),
      command: "try",
      before: "exit code 0: the pod ran",
    },
    "an interface that no node has": {
      ...selector(attribute('interface == "eth9"')),
      command: "try",
      before: "exit code 0: the pod ran",
    },
    "another interface in the configuration than the chosen one": {
      changes: [[CLASS, "deviceClassName: host-interface"], ["master: eth0", "master: eth1"]],
      command: "try",
      before:
        "… parameters.config.master: refused by policy: the interface is \"eth1\": it must be the allocated device's, or another that the node publishes as a device (an administrator can change policy.plugins.macvlan.master in the agent's configuration file)",
    },
  },
  "In the pod": {
    "a field of the container is misspelled": {
      changes: [["image: busybox", "imagee: busybox"]],
      command: "lint",
      before: "exit code 0: the pod ran",
    },
    "the claim's name is misspelled": {
      changes: [["resourceClaimName: lan", "resourceClaimName: lam"]],
      command: "try",
      before: "… spec.resourceClaims lan: there is no ResourceClaim default/lam",
    },
    "a template where a claim is meant": {
      changes: [["resourceClaimName: lan", "resourceClaimTemplateName: lan"]],
      command: "try",
      before: "… spec.resourceClaims lan: there is no ResourceClaimTemplate default/lan",
    },
    "the claim is in another namespace": {
      changes: [[
        "metadata:\n  name: lan\nspec",
        "metadata:\n  name: lan\n  namespace: team-a\nspec",
      ]],
      wrote: "metadata: { name: lan, namespace: team-a } in the claim",
      command: "try",
      before: "… spec.resourceClaims lan: there is no ResourceClaim default/lan",
    },
    "the container names a claim that the pod does not have": {
      changes: [["claims: [{ name: lan }]", "claims: [{ name: lam }]"]],
      command: "lint",
      before:
        'lan.yaml:28: Pod demo: spec.containers[0].resources.claims[0].name: "lam" is not among the pod\'s spec.resourceClaims',
    },
    "a name where an object is meant": {
      changes: [["claims: [{ name: lan }]", "claims: [lan]"]],
      command: "lint",
      before:
        'lan.yaml:28: Pod demo: spec.containers[0].resources.claims[0]: must be an object, not "lan"',
    },
    "`resourceClaims` in the container": {
      changes: [[
        "      resources:\n        claims: [{ name: lan }]",
        "      resourceClaims: [{ name: lan }]",
      ]],
      wrote: "resourceClaims: [{ name: lan }] in the container",
      command: "lint",
      before: "exit code 0: the pod ran",
    },
    "a pod on the host's network": {
      changes: [["  containers:", "  hostNetwork: true\n  containers:"]],
      command: "lint",
      before:
        '… network "lan" (interface lan, claim default/lan) is not ready: pod default/demo uses the host\'s network, which the plugins would change: use hostNetwork: false, or a pod without the claim',
    },
    "no pod at all": {
      changes: [[`---\n${POD}`, ""]],
      wrote: "the claim alone",
      command: "try",
      before: "network-dra try: the files hold no Pod: nothing would use the claims",
    },
  },
  "What claims may not have": {
    "a plugin that changes the node": {
      changes: [["type: macvlan\n              master: eth0", "type: portmap"]],
      command: "lint",
      before:
        "… parameters.config.type: refused by policy: claims may not use the plugin \"portmap\": it changes the node's packet filter (an administrator can change policy.plugins.portmap in the agent's configuration file)",
    },
    "a field that changes the node": {
      changes: [[
        "type: macvlan\n              master: eth0",
        "type: bridge\n              bridge: br7\n              isGateway: true",
      ]],
      command: "lint",
      before:
        "… parameters.config.isGateway: refused by policy: true: the node would take the gateway's address, and forward (an administrator can change policy.plugins.bridge.isGateway in the agent's configuration file)",
    },
    "an interface that the node does not publish": {
      changes: [["master: eth0", "master: eth9"]],
      command: "try",
      before:
        "… parameters.config.master: refused by policy: the interface is \"eth9\": it must be the allocated device's, or another that the node publishes as a device (an administrator can change policy.plugins.macvlan.master in the agent's configuration file)",
    },
    "the node's own address": {
      changes: [[IPAM, "type: static\n                addresses: [{ address: 192.0.2.10/24 }]"]],
      command: "try",
      before:
        "… parameters.config.ipam.addresses[0]: refused by policy: it holds 192.0.2.10, which is the node's own address (an administrator can change policy.ipam.static.addresses in the agent's configuration file)",
    },
    "a configuration, where claims may only name networks": {
      changes: [],
      wrote: "nothing wrong, under this policy",
      config: "policy: { inline: false }",
      command: "lint",
      before:
        "… parameters.config: refused by policy: claims of default may carry no configuration of their own, only name a network of the administrator's (networkName) or use a device class that has one (an administrator can change policy.inline in the agent's configuration file)",
    },
  },
  "In the agent's configuration file": {
    "a field of the policy is misspelled": {
      changes: [],
      config: "policy: { plugins: { macvlan: { mster: [eth1] } } }",
      command: "try",
      before: "exit code 0: the pod ran",
    },
    "a setting is misspelled": {
      changes: [],
      config: "polcy: { inline: false }",
      command: "try",
      before:
        "config.yaml: polcy is not known; known are nodeName, podUid, driverName, kubeletDir, nriSocket, netnsDir, pluginName, pluginIndex, cniPath, cniTimeout, stateDir, cdiDir, deviceMetadata, kubeconfig, concurrency, attachmentsPerInterface, copiesPerInterface, checkInterval, repair, gcNetworks, sysfsDir, networkDir, listen, logLevel, logFormat, interfaces, policy",
    },
  },
  "On the node": {
    "DHCP without its daemon": {
      changes: [[IPAM, "type: dhcp"]],
      command: "try",
      before:
        '… network "lan" (interface lan, claim default/lan) is not ready: plugin type="macvlan" name="lan" failed (delete): error dialing DHCP daemon: dial unix /run/cni/dhcp.sock: connect: no such file or directory',
    },
  },
  "Not for this driver": {
    "a NetworkAttachmentDefinition": {
      changes: [[
        "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim",
        "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition",
      ]],
      wrote: "kind: NetworkAttachmentDefinition",
      command: "lint",
      before:
        "lan.yaml:1: NetworkAttachmentDefinition is not simulated; ResourceClaim, ResourceClaimTemplate, DeviceClass, Pod are",
    },
    "Multus' annotation": {
      changes: [[
        "metadata:\n  name: demo",
        "metadata:\n  name: demo\n  annotations: { k8s.v1.cni.cncf.io/networks: lan }",
      ]],
      command: "lint",
      before: "exit code 0: the pod ran",
    },
  },
  "No mistake": {
    "the file as it is": {
      changes: [],
      wrote: "everything right",
      command: "try",
      before: "exit code 0: the pod ran",
    },
  },
};
