import assert from "node:assert/strict";
import fc from "fast-check";
import type { Attachment } from "./attachment.ts";
import { FieldError } from "./field.ts";
import { parseParameters } from "./parameters.ts";
import { type Policy, PolicyRefusal } from "./policy.ts";
import { IPAM, PLUGINS } from "./policy_builtin.ts";
import type { NodeView } from "./policy_checks.ts";
import { assertAllowed } from "./policy_judge.ts";

const ipam = { type: "host-local", ranges: [[{ subnet: "10.1.0.0/24" }]] };
const macvlan = { type: "macvlan", master: "eth0", ipam };
const ptp = { type: "ptp", ipam };

/** Publishes eth0, eth1 and br0; has the cluster network's cni0. */
const node: NodeView = {
  offers: (name) => ["eth0", "eth1", "br0", "br-lan"].includes(name),
  taken: (name) => ["eth0", "eth1", "br0", "br-lan", "cni0", "docker0"].includes(name),
  needs: (name) => name === "eth0" ? "it has 192.168.7.10" : undefined,
  addresses: [
    { interfaceName: "eth0", address: "192.168.7.10", prefix: 24 },
    { interfaceName: "br0", address: "fd00:7::10", prefix: 64 },
    { interfaceName: "vethA", address: "10.9.0.1", prefix: 32 },
  ],
};

interface Given {
  readonly plugins: readonly Record<string, unknown>[];
  readonly name?: string;
  readonly device?: string;
  readonly capabilities?: Record<string, unknown>;
  readonly from?: "class" | "claim";
  /** The definition that holds it. */
  readonly definition?: string;
  /** Whether the administrator wrote it, and it only has a name here. */
  readonly named?: true;
}

/** Undefined when the policy lets it through. */
function judge(
  given: Given,
  policy: Policy = {},
  namespace = "default",
): PolicyRefusal | undefined {
  const { plugins, name = "lan", device = "cni", capabilities = {}, from = "claim" } = given;
  const { definition, named } = given;
  const { network, form } = parseParameters(
    { config: { cniVersion: "1.0.0", name, plugins } },
    "parameters",
  );
  const asked: Attachment = {
    request: "net",
    pool: "node",
    device,
    ifName: "net1",
    ifNameGiven: true,
    network,
    capabilityArgs: capabilities,
    origin: {
      from,
      path: "parameters",
      form: named ? "name" : form,
      ...(definition !== undefined && { definition }),
    },
  };
  try {
    assertAllowed(asked, { policy, namespace, node, networkNames: ["storage"] });
    return undefined;
  } catch (error) {
    if (error instanceof PolicyRefusal) return error;
    throw error;
  }
}

const one = (plugin: Record<string, unknown>, more: Partial<Given> = {}): Given => ({
  plugins: [plugin],
  ...more,
});
const withIpam = (more: Record<string, unknown>, plugin: Record<string, unknown> = macvlan) =>
  one({ ...plugin, ipam: { type: "host-local", ...more } });
const addressed = (address: string, plugin: Record<string, unknown> = macvlan) =>
  one({ ...plugin, ipam: { type: "static", addresses: [{ address }] } });

Deno.test("assertAllowed() lets through, by default, what concerns the pod alone", async (t) => {
  const cases: Record<string, Given> = {
    "macvlan": one({ ...macvlan, mode: "bridge", mtu: 1400, mac: "02:00:00:00:00:01" }),
    "ipvlan": one({ type: "ipvlan", master: "eth1", mode: "l2", ipam: { type: "dhcp" } }),
    "vlan": one({ type: "vlan", master: "eth0", vlanId: 5, linkInContainer: false, ipam }),
    "a new bridge": one({ type: "bridge", bridge: "br-new", hairpinMode: true, ipam }),
    "a bridge that there is": one({ type: "bridge", bridge: "br-lan", isGateway: false }),
    "the allocated bridge": one({ type: "bridge", bridge: "br0" }, { device: "br0" }),
    "ptp": one({ type: "ptp", ipam: { ...ipam, routes: [{ dst: "0.0.0.0/0" }] } }),
    "ptp beside another": withIpam({ subnet: "10.9.0.0/24" }, { type: "ptp" }),
    "tap": one({ type: "tap", owner: 0, group: 0, multiQueue: true }),
    "dummy": one({ type: "dummy", ipam }),
    "tuning": {
      plugins: [macvlan, {
        type: "tuning",
        sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1", "net/ipv6/conf/net1/accept_ra": "0" },
      }],
    },
    "bandwidth and sbr": {
      plugins: [ptp, { type: "bandwidth", ingressRate: 1, capabilities: { bandwidth: true } }, {
        type: "sbr",
        table: 7,
      }],
    },
    "host-device": one({ type: "host-device", device: "eth1" }, { device: "eth1" }),
    "a device's numbered copy": one({ ...macvlan, master: "eth9" }, { device: "eth9-3" }),
    "capability arguments": one(
      { ...macvlan, capabilities: { ips: true, mac: true, bandwidth: true } },
      {
        capabilities: { ips: ["10.1.0.7", "fd00::7/64"], mac: "02:00:00:00:00:01", bandwidth: {} },
      },
    ),
    "an empty ipam": one({ ...macvlan, ipam: {} }),
    "a range that leaves the node out": withIpam({
      subnet: "192.168.7.0/24",
      rangeStart: "192.168.7.100",
      rangeEnd: "192.168.7.200",
    }),
    "IPv6": withIpam({ ranges: [[{ subnet: "fd00:13::/64" }]] }),
  };
  for (const [name, given] of Object.entries(cases)) {
    await t.step(name, () => assert.equal(judge(given)?.message, undefined));
  }
});

Deno.test("assertAllowed() refuses, by default, what reaches the node", async (t) => {
  const at = "parameters.config.plugins[0]";
  const cases: Record<string, { given: Given; path: string; says: RegExp; rule: string }> = {
    "an unknown plugin": {
      given: one({ type: "calico" }),
      path: `${at}.type`,
      says: /claims may not use the plugin "calico"/,
      rule: "policy.plugins.calico",
    },
    "a plugin that is misspelled": {
      given: one({ type: "macvlna" }),
      path: `${at}.type`,
      says: /"macvlna" \(did you mean "macvlan"\?\)/,
      rule: "policy.plugins.macvlna",
    },
    "a plugin of every object": {
      given: one({ type: "constructor" }),
      path: `${at}.type`,
      says: /"constructor"/,
      rule: "policy.plugins.constructor",
    },
    "a main plugin as IPAM": {
      given: one({ ...macvlan, ipam: { type: "bridge" } }),
      path: `${at}.ipam.type`,
      says: /the IPAM plugin "bridge"/,
      rule: "policy.ipam.bridge",
    },
    "an IPAM plugin in the chain": {
      given: { plugins: [macvlan, { type: "host-local", ipam }] },
      path: "parameters.config.plugins[1].type",
      says: /the plugin "host-local"/,
      rule: "policy.plugins.host-local",
    },
    "IPAM of no type": {
      given: one({ ...macvlan, ipam: { Type: "static" } }),
      path: `${at}.ipam.Type`,
      says: /not allowed without ipam\.type/,
      rule: "policy.ipam",
    },
    "a field in another case": {
      given: one({ ...macvlan, Master: "cni0" }),
      path: `${at}.Master`,
      says: /is not a known field .* ignore the case/,
      rule: "policy.plugins.macvlan.Master",
    },
    "a field with a letter that folds into another": {
      given: one({ ...macvlan, "ma\u017fter": "cni0" }),
      path: `${at}["ma\u017fter"]`,
      says: /is not a known field/,
      rule: 'policy.plugins.macvlan["ma\u017fter"]',
    },
    "a range in another case": {
      given: withIpam({ ranges: [[{ Subnet: "127.0.0.0/8" }]] }),
      path: `${at}.ipam.ranges[0][0]["Subnet"]`,
      says: /is not a known field/,
      rule: "policy.ipam.host-local.ranges",
    },
    "no master": {
      given: one({ type: "macvlan" }),
      path: `${at}.master`,
      says: /the interface is missing/,
      rule: "policy.plugins.macvlan.master",
    },
    "the cluster network's link as master": {
      given: one({ ...macvlan, master: "cni0" }),
      path: `${at}.master`,
      says: /"cni0": it must be that of the allocated device/,
      rule: "policy.plugins.macvlan.master",
    },
    "a master in the container": {
      given: one({ ...macvlan, linkInContainer: true }),
      path: `${at}.linkInContainer`,
      says: /plugins before 1\.3/,
      rule: "policy.plugins.macvlan.linkInContainer",
    },
    "passthru": {
      given: one({ ...macvlan, mode: "passthru" }),
      path: `${at}.mode`,
      says: /including the node's own/,
      rule: "policy.plugins.macvlan.mode",
    },
    "no bridge": {
      given: one({ type: "bridge" }),
      path: `${at}.bridge`,
      says: /must be the name of a bridge/,
      rule: "policy.plugins.bridge.bridge",
    },
    "the node's own bridge": {
      given: one({ type: "bridge", bridge: "br0" }),
      path: `${at}.bridge`,
      says: /it has addresses/,
      rule: "policy.plugins.bridge.bridge",
    },
    "a bridge of the container engine": {
      given: one({ type: "bridge", bridge: "docker0" }),
      path: `${at}.bridge`,
      says: /is already in use/,
      rule: "policy.plugins.bridge.bridge",
    },
    "a bridge by a path": {
      given: one({ type: "bridge", bridge: "../../x" }),
      path: `${at}.bridge`,
      says: /must be the name of a bridge/,
      rule: "policy.plugins.bridge.bridge",
    },
    "a tiny MTU": {
      given: one({ type: "bridge", bridge: "br-lan", mtu: 68 }),
      path: `${at}.mtu`,
      says: /must be a whole number from 1280/,
      rule: "policy.plugins.bridge.mtu",
    },
    "host-device of an interface not allocated": {
      given: one({ type: "host-device", device: "eth1" }),
      path: `${at}.device`,
      says: /not the interface of the allocated device cni/,
      rule: "policy.plugins.host-device.device",
    },
    "host-device of nothing": {
      given: one({ type: "host-device", pciBusID: "0000:00:03.0" }),
      path: `${at}.pciBusID`,
      says: /the allocated device already determines/,
      rule: "policy.plugins.host-device.pciBusID",
    },
    "host-device of the node's own interface": {
      given: one({ type: "host-device", device: "eth0" }, { device: "eth0" }),
      path: `${at}.device`,
      says: /the node would lose "eth0": it has 192\.168\.7\.10/,
      rule: "policy.plugins.host-device.device",
    },
    "another subsystem's kernel setting": {
      given: { plugins: [macvlan, { type: "tuning", sysctl: { "kernel.core_pattern": "x" } }] },
      path: 'parameters.config.plugins[1].sysctl["kernel.core_pattern"]',
      says: /must be below net/,
      rule: "policy.plugins.tuning.sysctl",
    },
    "a kernel setting by a path": {
      given: { plugins: [macvlan, { type: "tuning", sysctl: { "net/../kernel/x": "1" } }] },
      path: 'parameters.config.plugins[1].sysctl["net/../kernel/x"]',
      says: /must be below net/,
      rule: "policy.plugins.tuning.sysctl",
    },
    "a kernel setting of all namespaces": {
      given: {
        plugins: [macvlan, { type: "tuning", sysctl: { "net.netfilter.nf_hooks_lwtunnel": "1" } }],
      },
      path: 'parameters.config.plugins[1].sysctl["net.netfilter.nf_hooks_lwtunnel"]',
      says: /must be below net\.core/,
      rule: "policy.plugins.tuning.sysctl",
    },
    "a kernel setting that loads a module": {
      given: {
        plugins: [macvlan, {
          type: "tuning",
          sysctl: { "net.ipv4.tcp_congestion_control": "x" },
        }],
      },
      path: 'parameters.config.plugins[1].sysctl["net.ipv4.tcp_congestion_control"]',
      says: /load a kernel module/,
      rule: "policy.plugins.tuning.sysctl",
    },
    "the same, with a part of its name in that of the interface": {
      given: {
        plugins: [macvlan, { type: "tuning", sysctl: { "net/ipv4/tcp_IFNAME_control": "x" } }],
      },
      path: 'parameters.config.plugins[1].sysctl["net/ipv4/tcp_IFNAME_control"]',
      says: /IFNAME must be a whole part/,
      rule: "policy.plugins.tuning.sysctl",
    },
    "a manufacturer's MAC address": {
      given: one({ ...macvlan, mac: "00:00:5e:00:01:01" }),
      path: `${at}.mac`,
      says: /locally administered/,
      rule: "policy.plugins.macvlan.mac",
    },
    "the same as an argument": {
      given: one(macvlan, { capabilities: { mac: "00:00:5e:00:01:01" } }),
      path: "parameters.capabilities.mac",
      says: /locally administered/,
      rule: "policy.capabilities.mac",
    },
    "port mappings": {
      given: one(macvlan, { capabilities: { portMappings: [{ hostPort: 22 }] } }),
      path: "parameters.capabilities.portMappings",
      says: /ports on the node/,
      rule: "policy.capabilities.portMappings",
    },
    "another argument": {
      given: one({ ...macvlan, capabilities: { deviceID: true } }),
      path: `${at}.capabilities["deviceID"]`,
      says: /claims cannot pass this argument/,
      rule: "policy.plugins.macvlan.capabilities",
    },
    "the name of the administrator's network": {
      given: one(macvlan, { name: "storage" }),
      path: "parameters.config.name",
      says: /another network on the node/,
      rule: "policy.reservedNetworks",
    },
    "the name of the cluster's network": {
      given: one(macvlan, { name: "cbr0" }),
      path: "parameters.config.name",
      says: /another network on the node/,
      rule: "policy.reservedNetworks",
    },
    "the node's own address": {
      given: addressed("192.168.7.10/24"),
      path: `${at}.ipam.addresses[0]`,
      says: /192\.168\.7\.10, which is the node's own/,
      rule: "policy.ipam.static.addresses",
    },
    "the same, written as IPv6": {
      given: one(macvlan, { capabilities: { ips: ["::ffff:192.168.7.10"] } }),
      path: "parameters.capabilities.ips[0]",
      says: /which is the node's own/,
      rule: "policy.capabilities.ips",
    },
    "a range with the node's own address": {
      given: withIpam({ subnet: "192.168.7.0/24" }),
      path: `${at}.ipam`,
      says: /which is the node's own/,
      rule: "policy.ipam.host-local.subnet",
    },
    "the metadata of a cloud": {
      given: addressed("169.254.169.254/32"),
      path: `${at}.ipam.addresses[0]`,
      says: /a link-local address/,
      rule: "policy.ipam.static.addresses",
    },
    "loopback": {
      given: addressed("127.0.0.2/32", ptp),
      path: `${at}.ipam.addresses[0]`,
      says: /a loopback address/,
      rule: "policy.ipam.static.addresses",
    },
    "the route to a public address": {
      given: addressed("8.8.8.8/32", ptp),
      path: `${at}.ipam.addresses[0]`,
      says: /not private/,
      rule: "policy.ipam.static.addresses",
    },
    "the route to a neighbour of the node": {
      given: addressed("192.168.7.1/32", ptp),
      path: `${at}.ipam.addresses[0]`,
      says: /the node's network 192\.168\.7\.10\/24 \(eth0\)/,
      rule: "policy.ipam.static.addresses",
    },
    "a neighbour's address as the gateway": {
      given: withIpam({ subnet: "10.1.0.0/24", gateway: "192.168.7.1" }, { type: "ptp" }),
      path: `${at}.ipam.gateway`,
      says: /the node's network/,
      rule: "policy.ipam.host-local.subnet",
    },
  };
  for (const [name, { given, path, says, rule }] of Object.entries(cases)) {
    await t.step(name, () => {
      const refusal = judge(given);
      assert.ok(refusal, "it was let through");
      assert.equal(refusal.path, path);
      assert.match(refusal.message, says);
      assert.equal(refusal.rule, rule);
      assert.ok(refusal.message.includes(`an administrator can change ${rule} in`));
      assert.equal(judge({ ...given, from: "class" }), undefined, "a class may");
      assert.equal(judge(given, { trustClaims: true }), undefined, "a trusted claim may");
    });
  }
});

Deno.test("assertAllowed() calls invalid what no policy could allow", () => {
  const cases: [string, Given, string][] = [
    ["a network", withIpam({ subnet: "10.38.0.0/33" }), 'ipam.subnet: invalid CIDR "10.38.0.0/33"'],
    [
      "a network in a range",
      withIpam({ ranges: [[{ subnet: "10.38.0.0" }]] }),
      'ipam.ranges[0][0].subnet: invalid CIDR "10.38.0.0"',
    ],
    [
      "the begin of a range",
      withIpam({ subnet: "10.1.0.0/24", rangeStart: "10.1.0" }),
      'ipam.rangeStart: invalid IP address "10.1.0"',
    ],
    [
      "the end of a range",
      withIpam({ subnet: "10.1.0.0/24", rangeEnd: "10.2.0.9" }),
      'ipam.rangeEnd: "10.2.0.9" is not in "10.1.0.0/24"',
    ],
    [
      "a gateway",
      withIpam({ subnet: "10.1.0.0/24", gateway: "10.1.0.256" }),
      'ipam.gateway: invalid IP address "10.1.0.256"',
    ],
    [
      "an address",
      addressed("10.1.2.300/24"),
      'ipam.addresses[0].address: invalid address "10.1.2.300/24": must have a prefix length, such as ' +
      "10.1.2.3/24",
    ],
  ];
  for (const [name, given, says] of cases) {
    assert.throws(() => judge(given), {
      name: "FieldError",
      message: `parameters.config.plugins[0].${says}`,
    }, name);
  }
});

Deno.test("assertAllowed() says which field was meant", () => {
  const refusal = judge(one({ type: "macvlan", mater: "eth0" }));
  assert.match(
    refusal!.message,
    /\.mater: refused by policy: is not a known field .* \(did you mean "master"\?\)/,
  );
});

Deno.test("assertAllowed() lets no field through that it does not know", () => {
  const types = { ...PLUGINS };
  fc.assert(fc.property(
    fc.constantFrom(...Object.keys(types)),
    fc.string({ minLength: 1 }).filter((key) => !["type", "ipam", "__proto__"].includes(key)),
    fc.jsonValue(),
    (type, key, value) => {
      if (Object.hasOwn(types[type]!.fields, key)) return;
      try {
        assert.ok(judge(one({ type, master: "eth0", bridge: "br-new", [key]: value })), key);
      } catch (error) {
        // Names that are none (constructor), before the policy looks.
        if (!(error instanceof FieldError)) throw error;
      }
    },
  ));
});

Deno.test("assertAllowed() meets any value of a known field with a refusal or lets it through", () => {
  const fields = (of: typeof PLUGINS) =>
    fc.constantFrom(...Object.keys(of)).chain((type) =>
      fc.dictionary(fc.constantFrom(...Object.keys(of[type]!.fields), "?"), fc.jsonValue(), {
        maxKeys: 5,
      }).map((values): Record<string, unknown> => ({ ...values, type }))
    );
  const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string());
  const prefix = fc.tuple(address, fc.integer({ min: -1, max: 129 })).map((parts) =>
    parts.join("/")
  );
  const range = fc.record({
    subnet: fc.oneof(prefix, fc.jsonValue()),
    rangeStart: address,
    rangeEnd: address,
    gateway: address,
  }, { requiredKeys: [] });
  const plugin = fc.record({
    plugin: fields(PLUGINS),
    ipam: fields(IPAM),
    ranges: fc.array(fc.array(range)),
  });
  fc.assert(
    fc.property(plugin, ({ plugin, ipam, ranges }) => {
      try {
        judge(one({ ...plugin, ipam: ipam.type === "host-local" ? { ...ipam, ranges } : ipam }));
      } catch (error) {
        // Capabilities that are none, before the policy looks.
        assert.ok(error instanceof FieldError, String((error as Error).stack));
      }
    }),
    { numRuns: 2000 },
  );
});

/** Fields as of the plugins 1.9.1, from their configuration's types. */
const OF_1_9_1 = {
  macvlan: "master mode mtu mac linkInContainer bcqueuelen",
  ipvlan: "master mode mtu linkInContainer",
  vlan: "master vlanId mtu linkInContainer",
  bridge: "bridge isGateway isDefaultGateway forceAddress ipMasq ipMasqBackend mtu hairpinMode " +
    "promiscMode vlan vlanTrunk preserveDefaultVlan macspoofchk enabledad " +
    "disableContainerInterface portIsolation",
  ptp: "ipMasq ipMasqBackend mtu",
  tap: "multiQueue mtu mac owner group selinuxContext bridge",
  dummy: "",
  "host-device": "device hwaddr DPDKMode kernelpath pciBusID",
  tuning: "dataDir sysctl mac promisc mtu txQLen allmulti",
  bandwidth: "ingressRate ingressBurst egressRate egressBurst",
  sbr: "table gateways addSourceHints",
};

Deno.test("every field of the open plugins is known", () => {
  for (const [type, fields] of Object.entries(OF_1_9_1)) {
    for (const field of fields.split(" ").filter((each) => each !== "")) {
      assert.ok(Object.hasOwn(PLUGINS[type]!.fields, field), `${type} ${field}`);
    }
  }
  assert.deepEqual(Object.keys(PLUGINS).toSorted(), Object.keys(OF_1_9_1).toSorted());
  assert.deepEqual(Object.keys(IPAM), ["host-local", "static", "dhcp"]);
});

Deno.test("assertAllowed() goes by what the administrator says", async (t) => {
  const gateway = one({ type: "bridge", bridge: "br-lan", isGateway: true });
  const cases: Record<string, { given: Given; policy: Policy; refused?: RegExp; in?: string }> = {
    "a field opened": { given: gateway, policy: { plugins: { bridge: { isGateway: true } } } },
    "a field opened for a value": {
      given: one({ ...macvlan, master: "cni0" }),
      policy: { plugins: { macvlan: { master: ["cni?"] } } },
    },
    "a field narrowed": {
      given: one(macvlan),
      policy: { plugins: { macvlan: { master: ["eth1"] } } },
      refused:
        /"eth0" is not allowed; the policy allows "eth1" .* policy\.plugins\.macvlan\.master in/,
    },
    "the allocated device's interface": {
      given: one({ ...macvlan, master: "eth1" }, { device: "eth1" }),
      policy: { plugins: { macvlan: { master: [{ allocated: true }] } } },
    },
    "another interface than the allocated": {
      given: one(macvlan),
      policy: { plugins: { macvlan: { master: [{ allocated: true }] } } },
      refused: /"eth0" is not allowed; the policy allows the allocated device's interface/,
    },
    "a field narrowed, left out": {
      given: one({ type: "macvlan" }),
      policy: { plugins: { macvlan: { master: ["eth1"] } } },
      refused: /is missing; the policy allows/,
    },
    "numbers": {
      given: one({ type: "vlan", master: "eth0", vlanId: 200 }),
      policy: { plugins: { vlan: { vlanId: [7, { from: 100, to: 199 }] } } },
      refused: /200 is not allowed; the policy allows 7, 100 to 199/,
    },
    "kernel settings by name": {
      given: { plugins: [macvlan, { type: "tuning", sysctl: { "net.ipv4.ip_forward": "1" } }] },
      policy: { plugins: { tuning: { sysctl: ["net.core.*"] } } },
      refused: /is not allowed; the policy allows "net\.core\.\*"/,
    },
    "a plugin opened": {
      given: one({ type: "portmap", snat: true }),
      policy: { plugins: { portmap: true } },
    },
    "a plugin opened for a field": {
      given: one({ type: "portmap", snat: true, masqAll: true }),
      policy: { plugins: { portmap: { snat: true } } },
      refused: /masqAll: refused by policy: is not a known field/,
    },
    "a plugin closed": {
      given: one({ type: "tap" }),
      policy: { plugins: { tap: false } },
      refused: /claims may not use the plugin "tap" \(an administrator/,
    },
    "all plugins opened": { given: one({ type: "x", y: 1 }), policy: { plugins: { "*": true } } },
    "all plugins closed": {
      given: one(macvlan),
      policy: { plugins: { "*": false } },
      refused: /"macvlan" .* policy\.plugins\["\*"\]/,
    },
    "all closed but one": {
      given: one(macvlan),
      policy: { plugins: { "*": false, macvlan: {} } },
    },
    "IPAM opened": {
      given: withIpam({ subnet: "10.1.0.0/24", dataDir: "/x" }),
      policy: { ipam: { "host-local": { dataDir: true } } },
    },
    "no configuration of claims' own": {
      given: one(macvlan),
      policy: { inline: false },
      refused: /parameters\.config: refused .* \(networkName\), .* policy\.inline in/,
    },
    "names reserved": {
      given: one(macvlan, { name: "prod-lan" }),
      policy: { reservedNetworks: ["prod-*"] },
      refused: /policy\.reservedNetworks/,
    },
    "names reserved otherwise": {
      given: one(macvlan, { name: "cbr0" }),
      policy: { reservedNetworks: [] },
    },
    "addresses refused": {
      given: one(ptp),
      policy: { refusedAddresses: ["10.0.0.0/15"] },
      refused: /the policy's refusedAddresses/,
    },
    "an argument opened": {
      given: one(macvlan, { capabilities: { mac: "00:00:5e:00:01:01" } }),
      policy: { capabilities: { mac: ["00:00:5e:*"] } },
    },
    "a namespace opened": {
      given: gateway,
      policy: { namespaces: [{ names: ["infra-*"], trustClaims: true }] },
      in: "infra-1",
    },
    "another namespace": {
      given: gateway,
      policy: { namespaces: [{ names: ["infra-*"], trustClaims: true }] },
      refused: /policy\.plugins\.bridge\.isGateway in/,
    },
    "a namespace narrowed": {
      given: one(macvlan),
      policy: {
        plugins: { macvlan: { mac: false } },
        namespaces: [{ names: ["lab"], plugins: { macvlan: { master: ["eth1"] } } }],
      },
      in: "lab",
      refused: /policy\.namespaces\[0\]\.plugins\.macvlan\.master in/,
    },
    "what a namespace does not say": {
      given: one({ ...macvlan, mac: "02:00:00:00:00:01" }),
      policy: {
        plugins: { macvlan: { mac: false } },
        namespaces: [{ names: ["lab"], plugins: { macvlan: { master: ["eth0"] } } }],
      },
      in: "lab",
      refused: /policy\.plugins\.macvlan\.mac in/,
    },
    "a namespace that opens what is closed": {
      given: one({ type: "tap" }),
      policy: { plugins: { tap: false }, namespaces: [{ names: ["lab"], plugins: { tap: {} } }] },
      in: "lab",
    },
  };
  for (const [name, { given, policy, refused, in: namespace }] of Object.entries(cases)) {
    await t.step(name, () => {
      const refusal = judge(given, policy, namespace);
      if (refused) assert.match(refusal?.message ?? "it was let through", refused);
      else assert.equal(refusal?.message, undefined);
    });
  }
});

Deno.test("assertAllowed() holds NetworkAttachmentDefinitions to the policy of the claim that names them", async (t) => {
  const gateway = { type: "bridge", bridge: "br-lan", isGateway: true };
  const definition = "shop/lan";
  const trust: Policy = { trustedDefinitions: ["infra", "shop*"] };
  const cases: Record<string, {
    readonly given: Given;
    readonly policy?: Policy;
    readonly refused?: RegExp;
    readonly in?: string;
  }> = {
    "what a claim may contain": { given: one(macvlan, { device: "eth0", definition }) },
    "what it may not": {
      given: one(gateway, { definition }),
      refused:
        /^parameters\.networkAttachmentDefinition: shop\/lan: spec\.config\.plugins\[0\]\.isGateway: refused by policy/,
    },
    "a class that names it does not vouch for what it says": {
      given: one(gateway, { definition, from: "class" }),
      refused: /spec\.config\.plugins\[0\]\.isGateway: refused by policy/,
    },
    "a class gives its own arguments": {
      given: one(macvlan, {
        device: "eth0",
        definition,
        from: "class",
        capabilities: { portMappings: [] },
      }),
    },
    "a claim does not": {
      given: one(macvlan, { device: "eth0", definition, capabilities: { portMappings: [] } }),
      refused: /parameters\.capabilities\.portMappings: refused by policy/,
    },
    "of a namespace that is trusted": { given: one(gateway, { definition }), policy: trust },
    "of another one": {
      given: one(gateway, { definition: "web/shop" }),
      policy: trust,
      refused: /isGateway: refused by policy/,
    },
    "trusted only for some claims": {
      given: one(gateway, { definition }),
      policy: { ...trust, namespaces: [{ names: ["guests"], trustedDefinitions: [] }] },
      in: "guests",
      refused: /isGateway: refused by policy/,
    },
    "trusted, with a name that claims may not use": {
      given: one(gateway, { definition, name: "san" }),
      policy: { ...trust, networks: ["lan"] },
      refused:
        /^parameters\.networkAttachmentDefinition: .* may not use network "san" .*policy\.networks/,
    },
    "where claims are trusted": {
      given: one(gateway, { definition }),
      policy: { trustClaims: true },
    },
    "where claims contain no configuration": {
      given: one(macvlan, { device: "eth0", definition }),
      policy: { inline: false },
      refused:
        /^parameters\.networkAttachmentDefinition: .*does not trust its namespace .*policy\.inline/,
    },
    "with the name of the administrator's network": {
      given: one(macvlan, { device: "eth0", definition, name: "storage" }),
      refused:
        /^parameters\.networkAttachmentDefinition: shop\/lan: spec\.config\.name: refused by policy: "storage"/,
    },
    "that names a file of the administrator's": {
      given: one(gateway, { definition, name: "storage", named: true }),
    },
    "that names a file which claims may not use": {
      given: one(gateway, { definition, name: "storage", named: true }),
      policy: { networks: [] },
      refused: /^parameters\.networkAttachmentDefinition: .* may not use network "storage"/,
    },
  };
  for (const [name, { given, policy, refused, in: namespace }] of Object.entries(cases)) {
    await t.step(name, () => {
      const refusal = judge(given, policy, namespace);
      if (refused) assert.match(refusal?.message ?? "it was let through", refused);
      else assert.equal(refusal?.message, undefined);
    });
  }
});
