/** The CNI runner with the reference plugins, in real network namespaces. */
import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { CniResult, RuntimeConfig } from "../../mod/agent/model.ts";
import { type NetworkList, parseNetworkList } from "../../mod/claim/network_list.ts";
import { PluginFolders } from "../../mod/cni/plugin_folders.ts";
import { pluginRunner } from "../../mod/cni/plugin_runner.ts";
import { Plugins } from "../../mod/cni/plugins.ts";
import { runProgram } from "../../mod/cni/program.ts";
import { CniRunner } from "../../mod/cni/runner.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { ip } from "../../mod/simulator/private_node.ts";

const never = new AbortController().signal;
const [pluginFolder] = await fetchCniPlugins();
let numbers = 0;

/** A pod's network namespace with a runner and a folder of its own. */
class Pod {
  readonly netns = `t${++numbers}`;
  readonly id = `sandbox-${numbers}`;
  readonly runner: CniRunner;

  constructor(readonly folder: string) {
    const cniPath = [folder, pluginFolder!];
    this.runner = new CniRunner(
      new Plugins({
        folders: new PluginFolders({ cniPath }),
        timeout: 10_000,
        run: pluginRunner({ cniPath, netnsDir: "/var/run/netns", run: runProgram }),
      }),
    );
  }

  runtime(more: Partial<RuntimeConfig> = {}): RuntimeConfig {
    return {
      containerID: this.id,
      netns: `/var/run/netns/${this.netns}`,
      ifName: "net1",
      args: [["IgnoreUnknown", "true"], ["K8S_POD_NAME", "p"]],
      capabilityArgs: {},
      claim: { namespace: "default", name: "c", uid: "claim-uid" },
      pod: { namespace: "default", name: "p", uid: "pod-uid" },
      ...more,
    };
  }

  add(network: NetworkList, more: Partial<RuntimeConfig> = {}) {
    return this.runner.add(network, this.runtime(more), { signal: never });
  }

  del(network: NetworkList, result?: CniResult, more: Partial<RuntimeConfig> = {}) {
    return this.runner.del(network, this.runtime(more), result, never);
  }

  async links(): Promise<string[]> {
    const all = JSON.parse(await ip(["-n", this.netns, "-j", "link"])) as { ifname: string }[];
    return all.map(({ ifname }) => ifname).filter((name) => name !== "lo" && !/^ifb/.test(name));
  }

  async address(family = "-4", link = "net1"): Promise<string | undefined> {
    const [shown] = JSON.parse(
      await ip([family, "-n", this.netns, "-j", "addr", "show", link, "scope", "global"]),
    ) as { addr_info: { local: string; prefixlen: number }[] }[];
    const info = shown?.addr_info[0];
    return info && `${info.local}/${info.prefixlen}`;
  }
}

async function withPod(body: (pod: Pod) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const pod = new Pod(folder);
  await ip(["netns", "add", pod.netns]);
  try {
    await body(pod);
  } finally {
    await ip(["netns", "delete", pod.netns]).catch(() => {});
    await Deno.remove(folder, { recursive: true });
  }
}

function network(plugin: Record<string, unknown>, ...more: Record<string, unknown>[]): NetworkList {
  const name = `network-${++numbers}`;
  return parseNetworkList({ cniVersion: "1.0.0", name, plugins: [plugin, ...more] }, "config");
}

const hostLocal = (subnet = "10.20.0.0/24") => ({ type: "host-local", ranges: [[{ subnet }]] });
const macvlan = (more: Record<string, unknown> = {}) => ({
  type: "macvlan",
  master: "eth0",
  ipam: hostLocal(),
  ...more,
});

async function leases({ name }: NetworkList): Promise<string[]> {
  try {
    const all = await Array.fromAsync(Deno.readDir(`/var/lib/cni/networks/${name}`));
    return all.map((entry) => entry.name).filter((lease) => /^[0-9a-f]+[.:]/.test(lease));
  } catch {
    return [];
  }
}

const KINDS: Record<
  string,
  { plugins: Record<string, unknown>[]; address: RegExp; family?: string }
> = {
  "macvlan with host-local": { plugins: [macvlan()], address: /^10\.20\.0\.2\/24$/ },
  "macvlan with static": {
    plugins: [macvlan({ ipam: { type: "static", addresses: [{ address: "10.30.0.7/24" }] } })],
    address: /^10\.30\.0\.7\/24$/,
  },
  "bridge": {
    plugins: [{ type: "bridge", bridge: "br-test", ipam: hostLocal("10.21.0.0/24") }],
    address: /^10\.21\.0\.2\/24$/,
  },
  "ptp": {
    plugins: [{ type: "ptp", ipam: hostLocal("10.22.0.0/24") }],
    address: /^10\.22\.0\.2\/24$/,
  },
  "tap": {
    plugins: [{ type: "tap", ipam: hostLocal("10.23.0.0/24") }],
    address: /^10\.23\.0\.2\/24$/,
  },
  "a chain of macvlan and tuning": {
    plugins: [macvlan({ ipam: hostLocal("10.24.0.0/24") }), { type: "tuning", mtu: 1400 }],
    address: /^10\.24\.0\.2\/24$/,
  },
  "IPv6": {
    plugins: [macvlan({ ipam: hostLocal("fd00:20::/64") })],
    address: /^fd00:20::2\/64$/,
    family: "-6",
  },
};

for (const [name, { plugins, address, family = "-4" }] of Object.entries(KINDS)) {
  Deno.test(`${name}: verified, added, checked, deleted`, () =>
    withPod(async (pod) => {
      const [first, ...rest] = plugins;
      const list = network(first!, ...rest);
      await pod.runner.verify(list, never);
      const { result, networkData } = await pod.add(list);
      assert.match(await pod.address(family) ?? "none", address);
      assert.equal(networkData.interfaceName, "net1");
      assert.match(networkData.hardwareAddress!, /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
      assert.deepEqual(networkData.ips?.length, 1);
      assert.match(networkData.ips[0]!, address);
      await pod.runner.runCheck(list, pod.runtime(), result, never);
      await pod.del(list, result);
      assert.deepEqual(await pod.links(), []);
      assert.deepEqual(await leases(list), []);
      await pod.del(list, result);
    }));
}

Deno.test("capability arguments: a MAC address given in capitals passes CHECK", () =>
  withPod(async (pod) => {
    const list = network(macvlan({ capabilities: { mac: true } }));
    const more = { capabilityArgs: { mac: "0A:58:0A:14:00:07" } };
    const { result, networkData } = await pod.add(list, more);
    assert.equal(networkData.hardwareAddress, "0a:58:0a:14:00:07");
    await pod.runner.runCheck(list, pod.runtime(more), result, never);
    await pod.del(list, result, more);
  }));

Deno.test("CHECK finds an interface that was lost", () =>
  withPod(async (pod) => {
    const list = network(macvlan());
    const { result } = await pod.add(list);
    await ip(["-n", pod.netns, "link", "delete", "net1"]);
    await assert.rejects(
      pod.runner.runCheck(list, pod.runtime(), result, never),
      /failed \(check\)/,
    );
    await pod.del(list, result);
  }));

Deno.test("CHECK finds nothing wrong with a bridge that took another hardware address", () =>
  withPod(async (pod) => {
    const list = network({ type: "bridge", bridge: "br-mac", ipam: hostLocal("10.28.0.0/24") });
    const { result } = await pod.add(list);
    await ip(["link", "set", "br-mac", "address", "02:00:00:00:00:01"]);
    await pod.runner.runCheck(list, pod.runtime(), result, never);
    await ip(["link", "delete", "br-mac"]);
    await assert.rejects(
      pod.runner.runCheck(list, pod.runtime(), result, never),
      /failed \(check\)/,
    );
    await pod.del(list, result);
  }));

Deno.test("a missing master: the plugin's code and words", () =>
  withPod(async (pod) => {
    const list = network(macvlan({ master: "nosuch0" }));
    await assert.rejects(pod.add(list), { code: 999, message: /Link not found/ });
    await pod.del(list);
    assert.deepEqual(await leases(list), []);
  }));

Deno.test("a second ADD fails and leaves the first attachment as it is", () =>
  withPod(async (pod) => {
    const list = network(macvlan());
    const { result } = await pod.add(list);
    await assert.rejects(pod.add(list), { code: 999 });
    assert.equal(await pod.address(), "10.20.0.2/24");
    await pod.del(list, result);
    assert.deepEqual(await leases(list), []);
  }));

Deno.test("a chain whose second plugin fails: DEL without a result leaves nothing", () =>
  withPod(async (pod) => {
    const list = network(macvlan(), { type: "tuning", sysctl: { "net.ipv4.nosuch": "1" } });
    await assert.rejects(pod.add(list), /plugin type="tuning" .* failed \(add\)/);
    assert.deepEqual(await pod.links(), ["net1"]);
    await pod.del(list);
    assert.deepEqual(await pod.links(), []);
    assert.deepEqual(await leases(list), []);
  }));

Deno.test("addresses that ran out: DEL removes the interface that was left down", () =>
  withPod(async (pod) => {
    const ipam = { type: "host-local", ranges: [[{ subnet: "10.25.0.0/30" }]] };
    const list = network(macvlan({ ipam }));
    const { result } = await pod.add(list, { containerID: "other", ifName: "net9" });
    await assert.rejects(pod.add(list), /no IP addresses available/);
    await pod.del(list);
    assert.deepEqual(await pod.links(), ["net9"]);
    assert.equal((await leases(list)).length, 1);
    await pod.del(list, result, { containerID: "other", ifName: "net9" });
  }));

Deno.test("a plugin killed in the middle of ADD: DEL cleans lease and interface", () =>
  withPod(async (pod) => {
    // The tuning plugin of the chain never ends, so that macvlan has done its part.
    await Deno.writeTextFile(
      join(pod.folder, "stuck"),
      '#!/bin/sh\n[ "$CNI_COMMAND" = ADD ] && exec sleep 300\nexit 0\n',
      { mode: 0o755 },
    );
    const list = network(macvlan(), { type: "stuck" });
    const cancelled = new AbortController();
    setTimeout(() => cancelled.abort(), 500);
    await assert.rejects(
      pod.runner.add(list, pod.runtime(), { signal: cancelled.signal }),
      /type="stuck".*cancelled and was killed/,
    );
    assert.deepEqual(await pod.links(), ["net1"]);
    await pod.del(list);
    assert.deepEqual(await pod.links(), []);
    assert.deepEqual(await leases(list), []);
  }));

Deno.test("DEL frees the lease when the namespace is gone", () =>
  withPod(async (pod) => {
    const list = network(macvlan());
    const { result } = await pod.add(list);
    await ip(["netns", "delete", pod.netns]);
    await pod.del(list, result, { netns: "" });
    assert.deepEqual(await leases(list), []);
  }));

Deno.test("DEL works with a descriptor of a namespace whose path is gone", () =>
  withPod(async (pod) => {
    const list = network({ type: "bridge", bridge: "br-held", ipam: hostLocal("10.26.0.0/24") });
    const { result } = await pod.add(list);
    const held = openSync(`/var/run/netns/${pod.netns}`, "r");
    try {
      await ip(["netns", "delete", pod.netns]);
      await pod.del(list, result, { netns: `/proc/${Deno.pid}/fd/${held}` });
      const ports = JSON.parse(await ip(["-j", "link", "show", "master", "br-held"])) as unknown[];
      assert.deepEqual(ports.filter((port) => Object.keys(port as object).length > 0), []);
    } finally {
      closeSync(held);
      await ip(["link", "delete", "br-held"]).catch(() => {});
    }
    assert.deepEqual(await leases(list), []);
  }));

Deno.test("attachments of many containers at once get addresses of their own", async () => {
  const list = network(macvlan({ ipam: hostLocal("10.27.0.0/24") }));
  const found = await Promise.all(Array.from({ length: 8 }, async () => {
    let address: string | undefined;
    await withPod(async (pod) => {
      const { result } = await pod.add(list);
      address = await pod.address();
      await pod.del(list, result);
    });
    return address;
  }));
  assert.ok(found.every((address) => address?.startsWith("10.27.0.")));
  assert.deepEqual(await leases(list), []);
});

Deno.test("results of every version of the SPEC are understood", async (t) => {
  for (const cniVersion of ["0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]) {
    await t.step(cniVersion, () =>
      withPod(async (pod) => {
        const list = { ...network(macvlan()), cniVersion };
        const { result, networkData } = await pod.add(list);
        assert.match(result.cniVersion, /^1\.[01]\.0$/);
        assert.deepEqual(networkData.ips, [await pod.address()]);
        await pod.del(list, result);
        assert.deepEqual(await leases(list), []);
      }));
  }
});

Deno.test("host-device whose namespace is gone: DEL is done, and the lease is freed", () =>
  withPod(async (pod) => {
    const device = `hd${pod.netns}`;
    await ip(["link", "add", device, "type", "veth", "peer", "name", `${device}p`]);
    const list = network({ type: "host-device", device, ipam: hostLocal("10.28.0.0/24") });
    const { result, networkData } = await pod.add(list);
    assert.deepEqual(networkData.ips, ["10.28.0.2/24"]);
    await ip(["netns", "delete", pod.netns]);
    await pod.del(list, result, { netns: "" });
    assert.deepEqual(await leases(list), []);
  }));

Deno.test("host-device that never came into the pod: DEL is done, and ADD works once it is there", () =>
  withPod(async (pod) => {
    const device = `hd${pod.netns}`;
    const list = network({ type: "host-device", device, ipam: hostLocal("10.30.0.0/24") });
    await assert.rejects(pod.add(list), /failed to find host device/);
    await pod.del(list);
    await ip(["link", "add", device, "type", "veth", "peer", "name", `${device}p`]);
    const { result } = await pod.add(list);
    assert.equal((await leases(list)).length, 1);
    await pod.del(list, result);
    await pod.del(list, result);
    assert.deepEqual(await pod.links(), []);
    assert.deepEqual(await leases(list), []);
    await ip(["link", "delete", device]);
  }));

Deno.test("host-device that cannot go back: DEL fails", () =>
  withPod(async (pod) => {
    const device = `hd${pod.netns}`;
    await ip(["link", "add", device, "type", "veth", "peer", "name", `${device}p`]);
    const list = network({ type: "host-device", device });
    const { result } = await pod.add(list);
    await ip(["link", "add", device, "type", "veth", "peer", "name", `${device}q`]);
    await assert.rejects(pod.del(list, result), /host-device.*failed \(delete\): .*file exists/);
    await ip(["link", "delete", device]);
    await pod.del(list, result);
    assert.deepEqual(await pod.links(), []);
    await ip(["link", "delete", device]);
  }));

Deno.test("vlan whose master is gone: DEL is done, and the lease is freed", async (t) => {
  for (const netns of [undefined, ""]) {
    await t.step(
      netns === undefined ? "in its namespace" : "without it",
      () =>
        withPod(async (pod) => {
          const list = network({ ...macvlan(), type: "vlan", master: "gone0", vlanId: 7 });
          // What an ADD left, from when the master was there.
          await pod.add({ ...list, plugins: [macvlan()] });
          await ip(["-n", pod.netns, "link", "delete", "net1"]);
          assert.equal((await leases(list)).length, 1);
          await pod.del(list, undefined, { netns: netns ?? `/var/run/netns/${pod.netns}` });
          assert.deepEqual(await leases(list), []);
        }),
    );
  }
});

Deno.test("sbr whose namespace is gone: DEL is done, and the lease is freed", () =>
  withPod(async (pod) => {
    const list = network(macvlan(), { type: "sbr" });
    const { result } = await pod.add(list);
    await ip(["netns", "delete", pod.netns]);
    await pod.del(list, result, { netns: "" });
    assert.deepEqual(await leases(list), []);
  }));

Deno.test("an IPAM plugin that is missing for a while: DEL fails until it is back, then cleans", () =>
  withPod(async (pod) => {
    const ipam = { ...hostLocal("10.29.0.0/24"), type: "ipam-upgrade" };
    const list = network(macvlan({ ipam }));
    await assert.rejects(pod.runner.verify(list, never), /ipam-upgrade.*is in none of the folders/);
    await assert.rejects(pod.add(list), /failed to find plugin "ipam-upgrade"/);
    await assert.rejects(pod.del(list), /failed to find plugin "ipam-upgrade"/);
    await Deno.copyFile(join(pluginFolder!, "host-local"), join(pod.folder, "ipam-upgrade"));
    await pod.del(list);
    assert.deepEqual(await pod.links(), []);
    const { result } = await pod.add(list);
    await pod.del(list, result);
    assert.deepEqual(await pod.links(), []);
    assert.deepEqual(await leases(list), []);
  }));

Deno.test("bandwidth that is not chained: the plugin's words", () =>
  withPod(async (pod) => {
    const rates = { ingressRate: 8000, ingressBurst: 8000 };
    await assert.rejects(
      pod.add(network({ type: "bandwidth", ...rates })),
      /type="bandwidth".*failed \(add\): must be called as chained plugin/,
    );
  }));

Deno.test("arguments that a plugin does not know are its error, unless it is told to ignore them", () =>
  withPod(async (pod) => {
    const list = network(macvlan());
    await assert.rejects(pod.add(list, { args: [["K8S_POD_NAME", "p"]] }), { code: 999 });
    await pod.del(list);
    assert.deepEqual(await pod.links(), []);
  }));

Deno.test("a version that a plugin does not speak is found by verify()", () =>
  withPod(async (pod) => {
    const type = "old-plugin";
    await Deno.writeTextFile(
      join(pod.folder, type),
      '#!/bin/sh\necho \'{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}\'\n',
      { mode: 0o755 },
    );
    await assert.rejects(
      pod.runner.verify(network({ type }), never),
      /does not support cniVersion 1\.0\.0, only 0\.3\.1, 0\.4\.0/,
    );
  }));

Deno.test("STATUS and GC of the reference plugins tell and free nothing", () =>
  withPod(async (pod) => {
    const list = { ...network(macvlan()), cniVersion: "1.1.0" };
    await pod.runner.status({ ...list, plugins: [macvlan({ master: "nosuch0" })] }, never);
    const { result } = await pod.add(list);
    await pod.runner.gc(list, { valid: [], signal: never });
    assert.equal((await leases(list)).length, 1);
    await pod.del(list, result);
    assert.deepEqual(await leases(list), []);
  }));
