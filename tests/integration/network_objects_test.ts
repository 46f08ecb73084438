/** Networks of the cluster and NetworkAttachmentDefinitions, with the agent on a simulated node. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { cli } from "../support/cli.ts";

const NAMESPACE = (labels: string) =>
  `---
apiVersion: v1
kind: Namespace
metadata: { name: default, labels: ${labels} }
`;

const LAN = `---
apiVersion: dra.networking/v1alpha1
kind: Network
metadata: { name: lan }
spec:
  interfaceName: lan
  namespaceSelector: { matchLabels: { tier: web } }
  config:
    cniVersion: 1.0.0
    type: macvlan
    master: eth0
    ipam: { type: static, addresses: [{ address: 10.33.0.1/24 }] }
`;

function definition(name: string, config: unknown): string {
  return `---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: { name: ${name} }
spec: { config: '${config === undefined ? "" : JSON.stringify(config)}' }
`;
}

const OF_CLAIMS = {
  cniVersion: "0.4.0",
  type: "macvlan",
  master: "eth0",
  ipam: { type: "static", addresses: [{ address: "10.34.0.1/24" }] },
};
const GATEWAY = {
  cniVersion: "1.0.0",
  type: "bridge",
  bridge: "br-old",
  isGateway: true,
  ipam: { type: "host-local", subnet: "10.35.0.0/24", dataDir: "/run/leases" },
};

/** A pod whose claim has these parameters. */
function podWith(parameters: string): string {
  return `apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: { name: lan }
spec:
  devices:
    requests: [{ name: lan, exactly: { deviceClassName: network-interface } }]
    config:
      - opaque:
          driver: dra.networking
          parameters:
            { apiVersion: dra.networking/v1alpha1, kind: Network, ${parameters} }
---
apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  resourceClaims: [{ name: lan, resourceClaimName: lan }]
  containers:
    - name: main
      image: busybox
      resources: { claims: [{ name: lan }] }
`;
}

interface Tried {
  readonly objects: string;
  readonly parameters: string;
  /** The agent's configuration file. */
  readonly config?: string;
  /** Files of `--network-dir`. */
  readonly networks?: Readonly<Record<string, unknown>>;
  /** The interface and the addresses of the pod, or what the agent says. */
  readonly says: RegExp | { readonly interfaceName: string; readonly ips: readonly string[] };
}

const ON_NODE = {
  cniVersion: "1.0.0",
  name: "lan",
  plugins: [{ ...OF_CLAIMS, ipam: { type: "static", addresses: [{ address: "10.36.0.1/24" }] } }],
};

const CASES: Readonly<Record<string, Tried>> = {
  "a Network that is for the namespace": {
    objects: LAN + NAMESPACE("{ tier: web }"),
    parameters: "networkName: lan",
    says: { interfaceName: "lan", ips: ["10.33.0.1/24"] },
  },
  "a Network that is not": {
    objects: LAN + NAMESPACE("{ tier: db }"),
    parameters: "networkName: lan",
    says:
      /networkName: Network lan is not for claims in namespace default: its namespaceSelector \(tier=web\)/,
  },
  "a file of the node replaces a Network": {
    objects: LAN + NAMESPACE("{ tier: db }"),
    parameters: "networkName: lan",
    networks: { "lan.conflist": ON_NODE },
    says: { interfaceName: "net1", ips: ["10.36.0.1/24"] },
  },
  "a NetworkAttachmentDefinition": {
    objects: definition("old", OF_CLAIMS),
    parameters: "networkAttachmentDefinition: old, interfaceName: old",
    says: { interfaceName: "old", ips: ["10.34.0.1/24"] },
  },
  "a NetworkAttachmentDefinition with more than claims may": {
    objects: definition("old", GATEWAY),
    parameters: "networkAttachmentDefinition: default/old",
    says: /networkAttachmentDefinition: default\/old: spec\.config\.isGateway: refused by policy/,
  },
  "a NetworkAttachmentDefinition of a namespace that the policy trusts": {
    objects: definition("old", GATEWAY),
    parameters: "networkAttachmentDefinition: old",
    config: "policy: { trustedDefinitions: [default] }\n",
    says: { interfaceName: "net1", ips: ["10.35.0.2/24"] },
  },
  "a NetworkAttachmentDefinition without a configuration": {
    objects: definition("lan", undefined),
    parameters: "networkAttachmentDefinition: lan",
    networks: { "lan.conflist": ON_NODE },
    says: { interfaceName: "net1", ips: ["10.36.0.1/24"] },
  },
};

for (const [name, { objects, parameters, config, networks, says }] of Object.entries(CASES)) {
  Deno.test(`try: ${name}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const file = join(folder, "objects.yaml");
      await Deno.writeTextFile(file, podWith(parameters) + objects);
      const flags = ["-o", "json"];
      if (config !== undefined) {
        await Deno.writeTextFile(join(folder, "config.yaml"), config);
        flags.push("--config", join(folder, "config.yaml"));
      }
      if (networks) {
        await Deno.mkdir(join(folder, "networks"));
        for (const [each, content] of Object.entries(networks)) {
          await Deno.writeTextFile(join(folder, "networks", each), JSON.stringify(content));
        }
        flags.push("--network-dir", join(folder, "networks"));
      }
      const { code, stdout, stderr } = await cli(["try", file, ...flags]);
      if (says instanceof RegExp) {
        assert.equal(code, 1, stderr);
        assert.match(stderr, says);
        return;
      }
      assert.equal(code, 0, stderr);
      const { status } = JSON.parse(stdout);
      const { interfaceName, ips } = status.devices[0].networkData;
      assert.deepEqual({ interfaceName, ips }, says);
      assert.match(stderr, /nothing is left/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
