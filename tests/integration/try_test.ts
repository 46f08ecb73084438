/** `network-dra try` as a user runs it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { cli } from "../support/cli.ts";

/** Runs `try` on YAML. */
async function tryYaml(yaml: string, ...flags: string[]) {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "given.yaml");
    await Deno.writeTextFile(file, yaml);
    return await cli(["try", file, ...flags]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const CLASS = `
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: network-interface}
spec: {}
---`;

function aPod(name: string, ...claims: string[]): string {
  const entries = claims.map((claim) => `{name: ${claim}, resourceClaimName: ${claim}}`);
  const used = claims.map((claim) => `{name: ${claim}}`);
  return `
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  resourceClaims: [${entries}]
  containers:
  - {name: main, image: busybox, resources: {claims: [${used}]}}
---`;
}

function aClaim(name: string, parameters: string, { count = 1 } = {}): string {
  return `
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: ${name}}
spec:
  devices:
    requests: [{name: net, exactly: {deviceClassName: network-interface, count: ${count}}}]
    config: [{opaque: {driver: dra.networking, parameters: ${parameters}}}]
---`;
}

const macvlan = (name: string, subnet: number) =>
  `{cniVersion: 1.0.0, name: ${name}, type: macvlan, master: eth0, ` +
  `ipam: {type: host-local, ranges: [[{subnet: 10.10.${subnet}.0/24}]]}}`;

// deno-lint-ignore no-explicit-any -- whatever was printed
function devices(claim: any): string[] {
  return (claim.status.devices ?? []).map((
    // deno-lint-ignore no-explicit-any -- likewise
    { device, conditions, networkData }: any,
  ) => `${device} ${conditions[0].status} ${networkData?.interfaceName} ${networkData?.ips}`);
}

Deno.test("the demo shows the claim with its filled status, and leaves nothing", async () => {
  const { code, stdout, stderr } = await cli(["try", "examples/demo-a/demo-a.yaml"]);
  assert.equal(code, 0, stderr);
  const claim = parse(stdout);
  assert.equal(claim.metadata.name, "macvlan-eth0-attachment");
  assert.deepEqual(devices(claim), ["cni True net1 10.10.1.2/24"]);
  assert.equal(claim.status.devices[0].driver, "poc.dra.networking");
  assert.deepEqual(claim.status.devices[0].data.ips, [
    { address: "10.10.1.2/24", gateway: "10.10.1.1", interface: 0 },
  ]);
  assert.match(stderr, /pod demo-a: container demo-a created/);
  assert.match(stderr, /torn down; nothing is left/);
});

Deno.test("standard input is read for -", async () => {
  const input = CLASS + aClaim("a", `{config: ${macvlan("lan", 1)}}`) + aPod("p", "a");
  const { code, stdout, stderr } = await cli(["try", "-"], { input });
  assert.equal(code, 0, stderr);
  assert.deepEqual(devices(parse(stdout)), ["cni True net1 10.10.1.2/24"]);
});

Deno.test("a claim of an older API version, with the status of another cluster, is converted", async () => {
  const { code, stdout, stderr } = await tryYaml(`${CLASS}
apiVersion: resource.k8s.io/v1alpha3
kind: ResourceClaim
metadata: {name: macvlan-eth0-attachment}
spec:
  devices:
    config:
    - requests: [macvlan-eth0]
      opaque: {driver: poc.dra.networking, parameters: {interface: net1, config: ${
    macvlan("lan", 1)
  }}}
    requests:
    - {name: macvlan-eth0, allocationMode: ExactCount, count: 1, deviceClassName: network-interface}
status:
  allocation: {devices: {results: [{device: cni, driver: x, pool: kind-worker, request: y}]}}
  devices: [{device: cni, driver: poc.dra.networking, pool: kind-worker}]
---${aPod("p", "macvlan-eth0-attachment")}`);
  assert.equal(code, 0, stderr);
  const claim = parse(stdout);
  assert.equal(claim.apiVersion, "resource.k8s.io/v1");
  assert.deepEqual(devices(claim), ["cni True net1 10.10.1.2/24"]);
});

Deno.test("-o json; several claims, several devices, names chosen", async () => {
  const { code, stdout, stderr } = await tryYaml(
    CLASS + aClaim("a", `{config: ${macvlan("na", 1)}}`, { count: 2 }) +
      aClaim("b", `{interface: lan, config: ${macvlan("nb", 2)}}`) + aPod("p", "a", "b"),
    "-o",
    "json",
  );
  assert.equal(code, 0, stderr);
  const { items } = JSON.parse(stdout);
  assert.deepEqual(items.map(devices), [
    ["cni True net1 10.10.1.2/24", "cni True net2 10.10.1.3/24"],
    ["cni True lan 10.10.2.2/24"],
  ]);
});

Deno.test("a claim made from a template, configured by its class", async () => {
  const { code, stdout, stderr } = await tryYaml(`
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: lan}
spec: {config: [{opaque: {driver: dra.networking, parameters: {config: ${macvlan("lan", 1)}}}}]}
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: lan}
spec: {spec: {devices: {requests: [{name: net, firstAvailable: [{name: one, deviceClassName: lan}]}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  resourceClaims: [{name: lan, resourceClaimTemplateName: lan}]
  containers: [{name: main, image: busybox}]
`);
  assert.equal(code, 0, stderr);
  const claim = parse(stdout);
  assert.match(claim.metadata.name, /^p-lan-/);
  assert.equal(claim.status.devices[0].networkData.interfaceName, "net1");
});

Deno.test("two pods that share a claim get an address each", async () => {
  const { code, stdout, stderr } = await tryYaml(
    CLASS + aClaim("a", `{config: ${macvlan("lan", 1)}}`) + aPod("p", "a") + aPod("q", "a"),
  );
  assert.equal(code, 0, stderr);
  const [entry] = parse(stdout).status.devices;
  assert.equal(entry.conditions[0].status, "True");
  assert.match(stderr, /pod q: container main created/);
});

Deno.test("a claim that no pod names is not said to have been tried", async () => {
  const { code, stderr } = await tryYaml(
    CLASS + aClaim("a", `{config: ${macvlan("lan", 1)}}`) +
      aClaim("b", `{config: ${macvlan("lan", 1)}}`) + aPod("p", "a"),
  );
  assert.equal(code, 0, stderr);
  assert.match(stderr, /claim b: not tried: no pod uses it/);
  assert.doesNotMatch(stderr, /claim a: not tried/);
});

Deno.test("a pod on the host's network is refused, as on a cluster", async () => {
  const { code, stderr } = await tryYaml(
    CLASS + aClaim("a", `{config: ${macvlan("lan", 1)}}`) +
      aPod("p", "a").replace("spec:", "spec:\n  hostNetwork: true"),
  );
  assert.equal(code, 1, stderr);
  assert.match(stderr, /CreateContainerError: .* pod default\/p uses the host's network/);
  assert.match(stderr, /torn down; nothing is left/);
});

Deno.test("--keep keeps the node until it is told to end, and ends cleanly", async () => {
  const { code, stdout, stderr } = await cli(
    ["try", "--keep", "examples/demo-a/demo-a.yaml"],
    { interrupt: "the node is kept" },
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /NetworkInterfaceReady/);
  assert.match(
    stderr,
    /pod demo-a: nsenter --target \d+ --net --mount ip netns exec cni-[0-9a-f-]+ sh\n/,
  );
  assert.match(stderr, /torn down; nothing is left/);
});

Deno.test("bad parameters: Prepare fails with claim, request, path and what is allowed", async (t) => {
  const good = macvlan("lan", 1);
  const cases: Record<string, { claims: string[]; says: RegExp }> = {
    "an unknown kind": {
      claims: [`{apiVersion: dra.networking/v1alpha1, kind: X, config: ${good}}`],
      says: /claim default\/c0: request net: .*parameters\.kind: "X" is unknown; must be one of/,
    },
    "an unknown field": {
      claims: [`{config: ${good}, mtu: 1500}`],
      says: /parameters\.mtu: is unknown; must be one of interface, config/,
    },
    "a wrong type": {
      claims: ["{config: {cniVersion: 1.0.0, name: lan, plugins: macvlan}}"],
      says: /parameters\.config\.plugins: must be a list, not "macvlan"/,
    },
    "no config": { claims: ["{interface: net1}"], says: /parameters\.config: is missing/ },
    "a plugin type with a slash": {
      claims: ["{config: {cniVersion: 1.0.0, name: lan, type: ../macvlan}}"],
      says: /parameters\.config\.type: "\.\.\/macvlan" must be the name of a plugin's program/,
    },
    "an interface name of 16 bytes": {
      claims: [`{interface: abcdefghijklmnop, config: ${good}}`],
      says: /parameters\.interface: the interface name "abcdefghijklmnop" has 16 bytes/,
    },
    "one name twice": {
      claims: [`{interface: lan, config: ${good}}`, `{interface: lan, config: ${macvlan("m", 2)}}`],
      says: /the interface name "lan" is requested twice in the pod/,
    },
    "an unknown version": {
      claims: ["{config: {cniVersion: 3.0.0, name: lan, type: macvlan}}"],
      says: /parameters\.config\.cniVersion: "3\.0\.0" is unknown; must be one of 0\.1\.0/,
    },
    "a plugin that is not for claims": {
      claims: ["{config: {cniVersion: 1.0.0, name: lan, type: portmap}}"],
      says:
        /parameters\.config\.type: refused by policy: .* can change policy\.plugins\.portmap in/,
    },
    "a truth that YAML 1.1 sees": {
      claims: ["{config: {cniVersion: 1.0.0, name: off, type: macvlan}}"],
      says:
        /parameters\.config\.name: must be a string .*, not false \(YAML reads words .* in quotes\)/,
    },
  };
  for (const [name, { claims, says }] of Object.entries(cases)) {
    await t.step(name, async () => {
      const names = claims.map((_, i) => `c${i}`);
      const { code, stderr } = await tryYaml(
        CLASS + claims.map((claim, i) => aClaim(`c${i}`, claim)).join("") + aPod("p", ...names),
      );
      assert.equal(code, 1, stderr);
      assert.match(stderr, /FailedPrepareDynamicResources/);
      assert.match(stderr, says);
      assert.match(stderr, /torn down; nothing is left/);
    });
  }
});

/** The class, with the configuration of its administrator. */
const classWith = (config: string) =>
  CLASS.replace(
    "spec: {}",
    `spec: {config: [{opaque: {driver: dra.networking, parameters: {config: ${config}}}}]}`,
  );
const usesClass = `
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: a}
spec: {devices: {requests: [{name: net, exactly: {deviceClassName: network-interface}}]}}
---` + aPod("p", "a");

Deno.test("a class's plugin that is missing: Prepare fails and says which", async () => {
  const cases = {
    "type: nosuch": /plugin type="nosuch" name="lan" .* it is in none of the folders \//,
    "type: macvlan, ipam: {type: nosuch}": /plugin type="nosuch"/,
  };
  for (const [config, says] of Object.entries(cases)) {
    const { code, stderr } = await tryYaml(
      classWith(`{cniVersion: 1.0.0, name: lan, ${config}}`) + usesClass,
    );
    assert.equal(code, 1, stderr);
    assert.match(stderr, says);
    assert.match(stderr, /torn down; nothing is left/);
  }
});

Deno.test("a network that cannot be attached: the container is refused with the cause", async () => {
  const config = "{cniVersion: 1.0.0, name: lan, type: macvlan, master: nosuch0}";
  const { code, stdout, stderr } = await tryYaml(classWith(config) + usesClass);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /CreateContainerError: network "lan" \(interface net1, claim default\/a\) is not ready: .*Link not found/,
  );
  assert.equal(parse(stdout).status.devices[0].conditions[0].reason, "NetworkInterfaceNotReady");
  assert.match(stderr, /torn down; nothing is left/);
});

Deno.test("--config: the files under the policy of a node", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const config = join(folder, "config.yaml");
    await Deno.writeTextFile(config, "policy: {plugins: {macvlan: {master: [eth1]}}}");
    const yaml = CLASS + aClaim("a", `{config: ${macvlan("lan", 1)}}`) + aPod("p", "a");
    const { code, stderr } = await tryYaml(yaml, "--config", config);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /config\.master: refused by policy: "eth0" is not allowed; the policy allows "eth1"/,
    );
    await Deno.writeTextFile(config, "policy: {inline: perhaps}");
    const wrong = await tryYaml(yaml, "--config", config);
    assert.equal(wrong.code, 2);
    assert.match(
      wrong.stderr,
      /config\.yaml: policy\.inline: "perhaps" is not valid; must be true or false/,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("wrong usage: exit code 2, with the flag or the line and what it takes", async (t) => {
  const cases: Record<string, { args: string[]; says: RegExp; code?: number }> = {
    "an unknown command": {
      args: ["fly"],
      says: /^network-dra: unknown command "fly"\nRun 'network-dra --help' for usage\.$/m,
    },
    "an unknown flag": { args: ["run", "--nope"], says: /^network-dra run: unknown flag --nope\n/ },
    "a bad value": {
      args: ["run", "--plugin-index", "7"],
      says: /^network-dra run: --plugin-index: "7" is not valid; must be two digits, 00 to 99$/m,
    },
    "try without a file": { args: ["try"], says: /^network-dra try: FILE is required: / },
    "a file that is not there": {
      args: ["try", "nosuch.yaml"],
      says: /^network-dra try: nosuch\.yaml: no such file\n$/,
    },
    "a bad output format": {
      args: ["try", "-o", "xml", "x"],
      says: /^network-dra try: -o: "xml" is not valid; must be one of yaml, json$/m,
    },
  };
  for (const [name, { args, says }] of Object.entries(cases)) {
    await t.step(name, async () => {
      const { code, stderr } = await cli(args);
      assert.equal(code, 2);
      assert.match(stderr, says);
    });
  }
});

Deno.test("YAML that cannot be run: the file, the line and why", async (t) => {
  const cases: Record<string, { yaml: string; says: RegExp }> = {
    "broken": { yaml: "a: 1\nb: [", says: /given\.yaml:2:5: YAML: the "\[" above is not closed/ },
    "a key twice": {
      yaml: "kind: Pod\nkind: Pod\n",
      says: /given\.yaml:2:1: YAML: kind appears twice/,
    },
    "another kind": {
      yaml: "apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: a}\n",
      says:
        /given\.yaml:1: Deploymnet.*: there is no such kind in apps\/v1 \(did you mean Deployment\?\)/,
    },
    "another version": {
      yaml: "apiVersion: resource.k8s.io/v2\nkind: ResourceClaim\nmetadata: {name: a}\n",
      says: /apiVersion resource\.k8s\.io\/v2 is unknown/,
    },
    "a pod twice": {
      yaml: aPod("p") + aPod("p"),
      says: /given\.yaml:\d+: Pod p: is already defined at .*given\.yaml:2/,
    },
    "a request that is not there": {
      yaml: aClaim("a", "{}").replace("{opaque", "{requests: [x], opaque"),
      says:
        /given\.yaml:8: ResourceClaim a: .*config\[0\]\.requests\[0\]: "x" is not a request of the claim/,
    },
    "no pod": { yaml: CLASS, says: /the files contain no Pod/ },
    "no class": {
      yaml: aClaim("a", `{config: ${macvlan("lan", 1)}}`).replace("interface,", "interfaces,") +
        aPod("p", "a"),
      says: /there is no DeviceClass network-interfaces; did you mean network-interface\?/,
    },
    "no claim": { yaml: aPod("p", "absent"), says: /there is no ResourceClaim default\/absent/ },
  };
  for (const [name, { yaml, says }] of Object.entries(cases)) {
    await t.step(name, async () => {
      const { code, stderr } = await tryYaml(yaml);
      assert.equal(code, 1, stderr);
      assert.match(stderr, says);
    });
  }
});

const ADDRESSED = `
apiVersion: dra.networking/v1alpha1
kind: Network
metadata: {name: lan}
spec:
  config: {cniVersion: 1.0.0, type: macvlan, master: eth0}
  addresses:
    pools: [{subnet: 10.10.9.0/29, gateway: 10.10.9.1}, {subnet: "fd00:9::/126"}]
    reserved: [{address: 10.10.9.2, namespace: default, claim: reserved}]
---`;

function naming(name: string, more = ""): string {
  return aClaim(
    name,
    `{apiVersion: dra.networking/v1alpha1, kind: Network, networkName: lan${more}}`,
  );
}

Deno.test("try gives pods addresses of the cluster, and takes them back", async () => {
  const yaml = CLASS + ADDRESSED + naming("reserved") + naming("any") +
    naming("fixed", ", capabilities: {ips: [10.10.9.6]}") +
    aPod("a", "reserved") + aPod("b", "any") + aPod("c", "fixed");
  const { code, stdout, stderr } = await tryYaml(yaml);
  assert.equal(code, 0, stderr);
  interface Claim {
    readonly metadata: { readonly name: string };
    readonly status: { readonly devices: { readonly networkData: { readonly ips: string[] } }[] };
  }
  const { items } = parse(stdout) as { items: Claim[] };
  const ips = new Map(
    items.map(({ metadata, status }) => [metadata.name, status.devices[0]!.networkData.ips]),
  );
  const of = (name: string) => ips.get(name)!.toSorted();
  assert.equal(of("reserved")[0], "10.10.9.2/29");
  assert.equal(of("fixed")[0], "10.10.9.6/29");
  assert.match(of("any")[0]!, /^10\.10\.9\.[345]\/29$/);
  const six = [...ips.keys()].map((name) => of(name)[1]!);
  assert.deepEqual(six.toSorted(), ["fd00:9::1/126", "fd00:9::2/126", "fd00:9::3/126"]);
  assert.match(stderr, /torn down; nothing is left/);
});

Deno.test("try says that a network has no address left", async () => {
  const small = ADDRESSED.replace("fd00:9::/126", "fd00:9::/128");
  const yaml = CLASS + small + naming("one") + naming("two") + aPod("a", "one") + aPod("b", "two");
  const { code, stderr } = await tryYaml(yaml);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /network lan has no free IPv6 address/);
});
