/** Attacks on the node through what a claim may say, one for each row of docs/security.md's table. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { NODE_ADDRESS, ROUTER_ADDRESS, type Seen } from "./attack_bench.ts";

type Json = Record<string, unknown>;

export interface Attack {
  /** As in the table. */
  readonly plugin: string;
  readonly field: string;
  /** What it tries, where a row has several. */
  readonly name?: string;
  /** The device that the scheduler gave; `cni` where none is named. */
  readonly device?: string;
  readonly plugins: readonly Json[];
  /** The network's name. */
  readonly network?: string;
  readonly capabilities?: Json;
  readonly interfaceName?: string;
  /** Where in the parameters it is refused. */
  readonly path: string;
  /** Which rule refuses it; none where the scheduler's books do. */
  readonly rule?: string;
  /** What it does once an administrator lets it: shows that it is one. */
  readonly gains?: (seen: Seen) => void | Promise<void>;
  /** Why that is not shown. */
  readonly notShown?: string;
}

const static_ = (address: string, more: Json = {}) => ({
  type: "static",
  addresses: [{ address, ...more }],
});
const GATEWAY = { gateway: "10.77.0.1" };
const pool = { type: "host-local", ranges: [[{ subnet: "10.77.0.0/24" }]] };
const macvlan = { type: "macvlan", master: "eth0", ipam: pool };
const bridge = { type: "bridge", bridge: "br-lan", ipam: pool };

const NO_IPTABLES = "the machines of the tests have no iptables and no firewalld";
const NO_IPVLAN = "the kernel of the machines of the tests has no ipvlan";
const NO_VLANS = "the kernel of the machines of the tests keeps bridges without VLANs";
const NO_HARDWARE = "it needs hardware that the machines of the tests lack";
const AT = "config.plugins[0]";

/** The interface of the pod. */
function inPod({ pod }: Seen, name = "net1") {
  const link = pod.find(({ ifname }) => ifname === name);
  assert.ok(link, `the pod has ${pod.map(({ ifname }) => ifname)}`);
  return link;
}

/** The node's link on which the pod's stands. */
function standsOn(seen: Seen): string | undefined {
  const index = inPod(seen).link_index;
  return Object.keys(seen.before.links).find((name) => seen.before.links[name]!.ifindex === index);
}

/** The node's ports of a bridge that came with the pod. */
function newPorts({ before, after }: Seen, of: string): string[] {
  return Object.keys(after.links)
    .filter((name) => !before.links[name] && after.links[name]!.master === of);
}

const routed = (address: string) => ({ before, after }: Seen) => {
  const to = (routes: readonly string[]) =>
    routes.some((line) => new RegExp(`^${address} dev veth`).test(line));
  assert.ok(!to(before.routes) && to(after.routes), after.routes.join("\n"));
};

const owned = (address: string) => ({ before, after }: Seen) => {
  const has = (lines: readonly string[]) => lines.some((line) => line.includes(` ${address}/`));
  assert.ok(!has(before.addresses) && has(after.addresses), after.addresses.join("\n"));
};

const has = (address: string) => (seen: Seen) => {
  const addresses = inPod(seen).addr_info.map(({ local }: { local: string }) => local);
  assert.ok(addresses.includes(address), addresses.join());
};

const sprung = (name: string) => ({ before, after }: Seen) => {
  const traps = (files: Readonly<Record<string, string>>) =>
    Object.keys(files).filter((path) => path.endsWith(`/sprung-${name}`)).length;
  assert.equal(traps(before.files), 0);
  assert.equal(traps(after.files), 1);
};

const filters = (rule: string) => ({ before, after }: Seen) => {
  assert.ok(!before.filter.includes(rule) && after.filter.includes(rule), after.filter);
};

const gone = (name: string) => ({ before, after }: Seen) => {
  assert.ok(before.links[name] && !after.links[name], `${name} is there`);
};

/** The attacks; `victim` is a folder of the node. */
export function attacks(victim: string): Attack[] {
  return [
    // host-device
    {
      plugin: "host-device",
      field: "device",
      plugins: [{ type: "host-device", device: "eth1" }],
      path: `${AT}.device`,
      rule: "policy.plugins.host-device.device",
      gains: gone("eth1"),
    },
    {
      plugin: "host-device",
      field: "device",
      name: "allocated, with the node's own address",
      device: "eth0",
      plugins: [{ type: "host-device" }],
      path: `${AT}.device`,
      rule: "policy.plugins.host-device.device",
      gains: gone("eth0"),
    },
    {
      plugin: "host-device",
      field: "hwaddr",
      plugins: [{ type: "host-device", hwaddr: "02:00:00:00:00:01" }],
      path: `${AT}.hwaddr`,
      rule: "policy.plugins.host-device.hwaddr",
      notShown: "it does what device does",
    },
    ...["kernelpath", "pciBusID"].map((field): Attack => ({
      plugin: "host-device",
      field,
      plugins: [{ type: "host-device", [field]: "0000:00:03.0" }],
      path: `${AT}.${field}`,
      rule: `policy.plugins.host-device.${field}`,
      notShown: NO_HARDWARE,
    })),
    {
      plugin: "every plugin",
      field: "runtimeConfig",
      plugins: [{ type: "host-device", runtimeConfig: { deviceID: "0000:00:03.0" } }],
      path: `${AT}.runtimeConfig`,
      rule: "policy.plugins.host-device.runtimeConfig",
      notShown: NO_HARDWARE,
    },

    // master
    {
      plugin: "macvlan, ipvlan, vlan",
      field: "master",
      plugins: [{ ...macvlan, master: "cni0" }],
      path: `${AT}.master`,
      rule: "policy.plugins.macvlan.master",
      gains: (seen) => assert.equal(standsOn(seen), "cni0"),
    },
    {
      plugin: "macvlan, ipvlan, vlan",
      field: "master",
      name: "left out: the interface of the default route, which is excluded",
      plugins: [{ type: "macvlan", ipam: pool }],
      path: `${AT}.master`,
      rule: "policy.plugins.macvlan.master",
      gains: (seen) => assert.equal(standsOn(seen), "eth9"),
    },
    {
      plugin: "macvlan, ipvlan, vlan",
      field: "master",
      name: "left out behind another plugin: an interface of the node named as the pod's",
      interfaceName: "eth9",
      plugins: [{ type: "dummy", ipam: pool }, { type: "ipvlan", ipam: pool }],
      path: "config.plugins[1].master",
      rule: "policy.plugins.ipvlan.master",
      notShown: NO_IPVLAN,
    },
    {
      plugin: "macvlan, ipvlan, vlan",
      field: "master",
      name: "another than the allocated device's",
      device: "eth1",
      plugins: [{ type: "ipvlan", master: "eth0", ipam: pool }],
      path: `${AT}.master`,
    },
    {
      plugin: "macvlan, ipvlan, vlan",
      field: "linkInContainer",
      plugins: [{ ...macvlan, linkInContainer: true }],
      path: `${AT}.linkInContainer`,
      rule: "policy.plugins.macvlan.linkInContainer",
      notShown: "it needs plugins before 1.3",
    },
    {
      plugin: "every plugin",
      field: "a known field in another case",
      device: "eth1",
      plugins: [{ type: "macvlan", master: "eth1", Master: "cni0", ipam: pool }],
      path: `${AT}.Master`,
      rule: "policy.plugins.macvlan.Master",
      gains: (seen) => assert.equal(standsOn(seen), "cni0"),
    },
    {
      plugin: "every plugin",
      field: "a known field in another case",
      name: "with a letter that folds into another",
      device: "eth1",
      plugins: [{ type: "macvlan", master: "eth1", "ma\u017fter": "cni0", ipam: pool }],
      path: `${AT}["ma\u017fter"]`,
      rule: 'policy.plugins.macvlan["ma\u017fter"]',
      gains: (seen) => assert.equal(standsOn(seen), "cni0"),
    },

    // modes
    {
      plugin: "macvlan",
      field: "mode passthru",
      plugins: [{ ...macvlan, mode: "passthru" }],
      path: `${AT}.mode`,
      rule: "policy.plugins.macvlan.mode",
      gains: ({ before, after }) => {
        assert.equal(before.links.eth0!.promiscuity, 0);
        assert.equal(after.links.eth0!.promiscuity, 1);
      },
    },
    {
      plugin: "macvlan",
      field: "bcqueuelen",
      plugins: [{ ...macvlan, bcqueuelen: 100_000 }],
      path: `${AT}.bcqueuelen`,
      rule: "policy.plugins.macvlan.bcqueuelen",
      gains: (seen) => {
        assert.equal(inPod(seen).linkinfo.info_data.usedbcqueuelen, 100_000);
      },
    },
    {
      plugin: "ipvlan",
      field: "mode l3, l3s",
      plugins: [{ type: "ipvlan", master: "eth1", mode: "l3", ipam: pool }],
      path: `${AT}.mode`,
      rule: "policy.plugins.ipvlan.mode",
      notShown: NO_IPVLAN,
    },
    {
      plugin: "macvlan, tap, tuning",
      field: "mac",
      plugins: [{ ...macvlan, mac: "00:00:5e:00:01:01" }],
      path: `${AT}.mac`,
      rule: "policy.plugins.macvlan.mac",
      gains: (seen) => assert.equal(inPod(seen).address, "00:00:5e:00:01:01"),
    },

    // bridge
    {
      plugin: "bridge",
      field: "bridge",
      plugins: [{ ...bridge, bridge: "cni0" }],
      path: `${AT}.bridge`,
      rule: "policy.plugins.bridge.bridge",
      gains: (seen) => assert.equal(newPorts(seen, "cni0").length, 1),
    },
    {
      plugin: "bridge",
      field: "bridge",
      name: "left out: cni0",
      plugins: [{ type: "bridge", ipam: pool }],
      path: `${AT}.bridge`,
      rule: "policy.plugins.bridge.bridge",
      gains: (seen) => assert.equal(newPorts(seen, "cni0").length, 1),
    },
    {
      plugin: "bridge",
      field: "bridge",
      name: "the node's own",
      plugins: [{ ...bridge, bridge: "br-mgmt" }],
      path: `${AT}.bridge`,
      rule: "policy.plugins.bridge.bridge",
      gains: ({ before, after }) => {
        const setting = "net/ipv6/conf/br-mgmt/accept_ra";
        assert.notEqual(before.settings[setting], "0");
        assert.equal(after.settings[setting], "0");
      },
    },
    {
      plugin: "bridge",
      field: "bridge",
      name: "a name that a container engine's will have",
      plugins: [{ ...bridge, bridge: "docker0" }],
      path: `${AT}.bridge`,
      rule: "policy.plugins.bridge.bridge",
      gains: (seen) => assert.equal(newPorts(seen, "docker0").length, 1),
    },
    ...["isGateway", "isDefaultGateway"].map((field): Attack => ({
      plugin: "bridge",
      field: "isGateway, isDefaultGateway",
      name: field,
      plugins: [{ ...bridge, [field]: true }],
      path: `${AT}.${field}`,
      rule: `policy.plugins.bridge.${field}`,
      gains: owned("10.77.0.1"),
    })),
    {
      plugin: "bridge",
      field: "forceAddress",
      plugins: [{ ...bridge, forceAddress: true }],
      path: `${AT}.forceAddress`,
      rule: "policy.plugins.bridge.forceAddress",
      notShown: "shown with the bridge's name, below",
    },
    {
      plugin: "bridge",
      field: "forceAddress",
      name: "the node's bridge loses its address",
      plugins: [{ ...bridge, bridge: "br-mgmt", isGateway: true, forceAddress: true }],
      path: `${AT}.bridge`,
      rule: "policy.plugins.bridge.bridge",
      gains: ({ before, after }) => {
        const line = "br-mgmt 198.51.100.2/24";
        assert.ok(before.addresses.includes(line) && !after.addresses.includes(line));
      },
    },
    {
      plugin: "bridge",
      field: "promiscMode",
      plugins: [{ ...bridge, promiscMode: true }],
      path: `${AT}.promiscMode`,
      rule: "policy.plugins.bridge.promiscMode",
      gains: ({ before, after }) => {
        const on = ({ links }: Seen["before"]) => links["br-lan"]!.promiscuity as number;
        assert.ok(on(after) > on(before), `${on(before)}, ${on(after)}`);
      },
    },
    {
      plugin: "bridge",
      field: "mtu",
      plugins: [{ ...bridge, mtu: 68 }],
      path: `${AT}.mtu`,
      rule: "policy.plugins.bridge.mtu",
      gains: ({ after }) => assert.equal(after.links["br-lan"]!.mtu, 68),
    },
    {
      plugin: "bridge",
      field: "vlan, vlanTrunk",
      plugins: [{ ...bridge, vlan: 100 }],
      path: `${AT}.vlan`,
      rule: "policy.plugins.bridge.vlan",
      notShown: NO_VLANS,
    },
    {
      plugin: "bridge",
      field: "vlan, vlanTrunk",
      name: "a trunk",
      plugins: [{ ...bridge, vlanTrunk: [{ minID: 2, maxID: 4000 }] }],
      path: `${AT}.vlanTrunk`,
      rule: "policy.plugins.bridge.vlanTrunk",
      notShown: NO_VLANS,
    },
    {
      plugin: "bridge, ptp",
      field: "ipMasq, ipMasqBackend, macspoofchk",
      plugins: [{ ...bridge, ipMasq: true, ipMasqBackend: "nftables" }],
      path: `${AT}.ipMasq`,
      rule: "policy.plugins.bridge.ipMasq",
      gains: filters("masquerade"),
    },
    {
      plugin: "bridge, ptp",
      field: "ipMasq, ipMasqBackend, macspoofchk",
      name: "macspoofchk",
      plugins: [{ ...bridge, macspoofchk: true }],
      path: `${AT}.macspoofchk`,
      rule: "policy.plugins.bridge.macspoofchk",
      gains: filters("ether saddr"),
    },
    {
      plugin: "bridge, ptp",
      field: "ipMasq, ipMasqBackend, macspoofchk",
      name: "of ptp",
      plugins: [{ type: "ptp", ipMasq: true, ipMasqBackend: "nftables", ipam: pool }],
      path: `${AT}.ipMasq`,
      rule: "policy.plugins.ptp.ipMasq",
      gains: filters("masquerade"),
    },

    // addresses
    {
      plugin: "ptp",
      field: "ipam: addresses and gateways",
      name: "the router's address",
      plugins: [{ type: "ptp", ipam: static_(`${ROUTER_ADDRESS}/24`, GATEWAY) }],
      path: `${AT}.ipam.addresses[0]`,
      rule: "policy.ipam.static.addresses",
      gains: routed(ROUTER_ADDRESS),
    },
    {
      plugin: "ptp",
      field: "ipam: addresses and gateways",
      name: "a public address",
      plugins: [{ type: "ptp", ipam: static_("8.8.8.8/24", GATEWAY) }],
      path: `${AT}.ipam.addresses[0]`,
      rule: "policy.ipam.static.addresses",
      gains: routed("8.8.8.8"),
    },
    {
      plugin: "ptp",
      field: "ipam: addresses and gateways",
      name: "the cloud's metadata",
      plugins: [{ type: "ptp", ipam: static_("169.254.169.254/24", GATEWAY) }],
      path: `${AT}.ipam.addresses[0]`,
      rule: "policy.ipam.static.addresses",
      gains: routed("169.254.169.254"),
    },
    {
      plugin: "ptp",
      field: "ipam: addresses and gateways",
      name: "the router's address as gateway",
      plugins: [{
        type: "ptp",
        ipam: { type: "host-local", subnet: "10.77.0.0/24", gateway: ROUTER_ADDRESS },
      }],
      path: `${AT}.ipam.gateway`,
      rule: "policy.ipam.host-local.subnet",
      gains: owned(ROUTER_ADDRESS),
    },
    {
      plugin: "host-local, static",
      field: "the node's own address",
      plugins: [{ ...macvlan, ipam: static_(`${NODE_ADDRESS}/24`) }],
      path: `${AT}.ipam.addresses[0]`,
      rule: "policy.ipam.static.addresses",
      gains: has(NODE_ADDRESS),
    },
    {
      plugin: "host-local, static",
      field: "the node's own address",
      name: "as a range of one",
      plugins: [{
        ...macvlan,
        ipam: {
          type: "host-local",
          ranges: [[{
            subnet: "192.0.2.0/24",
            rangeStart: NODE_ADDRESS,
            rangeEnd: NODE_ADDRESS,
          }]],
        },
      }],
      path: `${AT}.ipam.ranges[0][0]`,
      rule: "policy.ipam.host-local.ranges",
      gains: has(NODE_ADDRESS),
    },
    {
      plugin: "host-local, static",
      field: "the node's own address",
      name: "in the notation of IPv6",
      plugins: [{
        ...macvlan,
        capabilities: { ips: true },
        ipam: {
          type: "host-local",
          ranges: [[{ subnet: "192.0.2.0/24", rangeStart: "192.0.2.2", rangeEnd: "192.0.2.9" }]],
        },
      }],
      capabilities: { ips: [`::ffff:${NODE_ADDRESS}`] },
      path: "capabilities.ips[0]",
      rule: "policy.capabilities.ips",
      notShown: "the range of the configuration lets it not be asked for",
    },
    {
      plugin: "capability arguments",
      field: "ips",
      plugins: [{
        ...macvlan,
        capabilities: { ips: true },
        ipam: { type: "static" },
      }],
      capabilities: { ips: [`${NODE_ADDRESS}/24`] },
      path: "capabilities.ips[0]",
      rule: "policy.capabilities.ips",
      gains: has(NODE_ADDRESS),
    },
    {
      plugin: "capability arguments",
      field: "mac",
      plugins: [{ ...macvlan, capabilities: { mac: true } }],
      capabilities: { mac: "00:00:5e:00:01:01" },
      path: "capabilities.mac",
      rule: "policy.capabilities.mac",
      gains: (seen) => assert.equal(inPod(seen).address, "00:00:5e:00:01:01"),
    },
    {
      plugin: "capability arguments",
      field: "portMappings",
      plugins: [{ ...macvlan, capabilities: { portMappings: true } }],
      capabilities: { portMappings: [{ hostPort: 10250, containerPort: 10250 }] },
      path: "capabilities.portMappings",
      rule: "policy.capabilities.portMappings",
      notShown: "shown with portmap, below: no other plugin takes it",
    },
    {
      plugin: "every plugin",
      field: "args",
      plugins: [{
        ...macvlan,
        ipam: { type: "static" },
        args: { cni: { ips: [`${NODE_ADDRESS}/24`] } },
      }],
      path: `${AT}.args`,
      rule: "policy.plugins.macvlan.args",
      gains: has(NODE_ADDRESS),
    },
    {
      plugin: "every plugin",
      field: "prevResult",
      plugins: [{
        type: "tuning",
        prevResult: { cniVersion: "1.0.0", ips: [{ address: `${NODE_ADDRESS}/24` }] },
      }],
      path: `${AT}.prevResult`,
      rule: "policy.plugins.tuning.prevResult",
      gains: async ({ claim }) => {
        assert.deepEqual((await claim()).data.ips, [{ address: `${NODE_ADDRESS}/24` }]);
      },
    },

    ...["eth0", "lo"].map((interfaceName): Attack => ({
      plugin: "every plugin",
      field: "interfaceName",
      name: interfaceName,
      interfaceName,
      plugins: [{ type: "tap", ipam: static_("10.244.0.7/24") }],
      path: "interfaceName",
    })),

    {
      plugin: "every plugin",
      field: "interfaceName",
      name: "a pattern: the device goes into the pod by another name, and does not come back",
      interfaceName: "net%d",
      device: "eth1",
      plugins: [{ type: "host-device" }],
      path: "interfaceName",
    },

    // paths
    {
      plugin: "host-local",
      field: "dataDir",
      plugins: [{ ...macvlan, ipam: { ...pool, dataDir: join(victim, "leases") } }],
      path: `${AT}.ipam.dataDir`,
      rule: "policy.ipam.host-local.dataDir",
      gains: ({ after }) => {
        assert.ok(Object.hasOwn(after.files, join(victim, "leases/attack/10.77.0.2")));
      },
    },
    {
      plugin: "host-local",
      field: "resolvConf",
      plugins: [{ ...bridge, ipam: { ...pool, resolvConf: join(victim, "secret") } }],
      path: `${AT}.ipam.resolvConf`,
      rule: "policy.ipam.host-local.resolvConf",
      gains: async ({ claim }) => {
        assert.deepEqual((await claim()).data.dns.nameservers, ["203.0.113.77"]);
      },
    },
    {
      plugin: "tuning",
      field: "dataDir",
      plugins: [macvlan, { type: "tuning", mtu: 1400, dataDir: join(victim, "tuning") }],
      path: "config.plugins[1].dataDir",
      rule: "policy.plugins.tuning.dataDir",
      gains: ({ after }) => {
        const files = Object.keys(after.files);
        assert.ok(files.some((path) => path.startsWith(join(victim, "tuning/"))), files.join());
      },
    },
    {
      plugin: "dhcp",
      field: "daemonSocketPath",
      plugins: [{
        ...macvlan,
        ipam: { type: "dhcp", daemonSocketPath: join(victim, "socket") },
      }],
      path: `${AT}.ipam.daemonSocketPath`,
      rule: "policy.ipam.dhcp.daemonSocketPath",
      gains: ({ before, after }) => {
        assert.ok(Number(after.settings.visits) > Number(before.settings.visits));
      },
    },
    {
      plugin: "dhcp",
      field: "provide",
      plugins: [{
        ...macvlan,
        ipam: { type: "dhcp", provide: [{ option: "dhcp-client-identifier", value: "other" }] },
      }],
      path: `${AT}.ipam.provide`,
      rule: "policy.ipam.dhcp.provide",
      notShown: "it needs a DHCP server",
    },
    {
      plugin: "host-local",
      field: "the network's name",
      network: "cbr0",
      plugins: [macvlan],
      path: "config.name",
      rule: "policy.reservedNetworks",
      gains: ({ after }) => {
        assert.ok(Object.hasOwn(after.files, "/var/lib/cni/networks/cbr0/10.77.0.2"));
      },
    },

    // kernel settings
    ...["kernel.core_pattern", "net/../kernel/core_pattern", "net.ipv4.../../../kernel"].map((
      name,
    ): Attack => ({
      plugin: "tuning",
      field: "sysctl",
      name,
      plugins: [macvlan, { type: "tuning", sysctl: { [name]: "x" } }],
      path: `config.plugins[1].sysctl[${JSON.stringify(name)}]`,
      rule: "policy.plugins.tuning.sysctl",
      notShown: "the plugin of 1.9.1 refuses it too",
    })),
    {
      plugin: "tuning",
      field: "sysctl",
      name: "a setting of all namespaces",
      plugins: [macvlan, {
        type: "tuning",
        sysctl: { "net.netfilter.nf_hooks_lwtunnel": "1" },
      }],
      path: 'config.plugins[1].sysctl["net.netfilter.nf_hooks_lwtunnel"]',
      rule: "policy.plugins.tuning.sysctl",
      notShown: "no one can turn it off again before the machine starts anew",
    },
    {
      plugin: "tuning",
      field: "sysctl",
      name: "one that loads kernel modules, with the interface's name in its own",
      interfaceName: "congestion",
      plugins: [macvlan, { type: "tuning", sysctl: { "net.ipv4.tcp_IFNAME_control": "reno" } }],
      path: 'config.plugins[1].sysctl["net.ipv4.tcp_IFNAME_control"]',
      rule: "policy.plugins.tuning.sysctl",
      gains: ({ congestion }) => assert.equal(congestion, "reno"),
    },
    {
      plugin: "tuning",
      field: "promisc, allmulti",
      plugins: [macvlan, { type: "tuning", allmulti: true }],
      path: "config.plugins[1].allmulti",
      rule: "policy.plugins.tuning.allmulti",
      gains: ({ before, after }) => {
        const on = ({ links }: Seen["before"]) => links.eth0!.allmulti as number;
        assert.ok(on(after) > on(before), `${on(before)}, ${on(after)}`);
      },
    },
    {
      plugin: "tuning",
      field: "promisc, allmulti",
      name: "promisc",
      plugins: [macvlan, { type: "tuning", promisc: true }],
      path: "config.plugins[1].promisc",
      rule: "policy.plugins.tuning.promisc",
      gains: (seen) => assert.equal(inPod(seen).promiscuity, 1),
    },

    // tap
    {
      plugin: "tap",
      field: "selinuxContext",
      plugins: [{ type: "tap", selinuxContext: "system_u:system_r:spc_t:s0" }],
      path: `${AT}.selinuxContext`,
      rule: "policy.plugins.tap.selinuxContext",
      notShown: "the machines of the tests have no SELinux",
    },

    // plugins
    {
      plugin: "portmap",
      field: "all",
      plugins: [macvlan, {
        type: "portmap",
        backend: "nftables",
        capabilities: { portMappings: true },
      }],
      capabilities: { portMappings: [{ hostPort: 10250, containerPort: 1, protocol: "tcp" }] },
      path: "config.plugins[1].type",
      rule: "policy.plugins.portmap",
      gains: filters("dport 10250"),
    },
    {
      plugin: "firewall",
      field: "all",
      plugins: [macvlan, { type: "firewall" }],
      path: "config.plugins[1].type",
      rule: "policy.plugins.firewall",
      notShown: NO_IPTABLES,
    },
    ...Object.entries({
      multus: { confDir: victim, kubeconfig: victim, logFile: join(victim, "log") },
      sriov: { deviceID: "0000:00:03.0", trust: "on", logFile: join(victim, "log") },
      ovs: { bridge: "br-int", vlan: 7, socket_file: join(victim, "socket") },
      calico: { kubernetes: { kubeconfig: victim } },
    }).map(([type, fields]): Attack => ({
      plugin: type === "calico" ? "any other" : type,
      field: "all",
      plugins: [{ type, ...fields }],
      path: `${AT}.type`,
      rule: `policy.plugins.${type}`,
      gains: sprung(type),
    })),
    {
      plugin: "whereabouts",
      field: "all",
      plugins: [{
        ...macvlan,
        ipam: { type: "whereabouts", range: "10.77.0.0/24", log_file: join(victim, "log") },
      }],
      path: `${AT}.ipam.type`,
      rule: "policy.ipam.whereabouts",
      gains: sprung("whereabouts"),
    },
    {
      plugin: "any other",
      field: "all",
      name: "a plugin that is none for addresses",
      plugins: [{ ...macvlan, ipam: { type: "calico" } }],
      path: `${AT}.ipam.type`,
      rule: "policy.ipam.calico",
      gains: sprung("calico"),
    },
  ];
}
